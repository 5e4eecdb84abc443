package opener

import (
	"errors"
	"net/netip"
	"reflect"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/simio"
	"github.com/sluice-net/sluice/transport"
)

// The addresses of the tests: what becomes of connections to them.
const (
	silent   = "192.0.2.1:80"
	silent6  = "[2001:db8::1]:80"
	refusing = "192.0.2.2:80"
)

// race connects, on a simulated network, to addresses in order; "" is that of a
// server. It returns how long that took, on the simulated clock.
func race(t *testing.T, o ConnectOptions, addrs ...string) (took time.Duration, err error) {
	t.Helper()
	h := newBareHost(t)
	engine := h.engine
	for addr, route := range map[string]simio.Route{silent: simio.Silent,
		silent6: simio.Silent, refusing: simio.Refusing} {
		engine.SetRoute(transport.Addr{AddrPort: netip.MustParseAddrPort(addr)}, route)
	}
	server := h.listen()
	began, done := engine.Now(), false
	winner := -1
	d := newDial(t.Context(), h, o, func(fd int, _ proactor.Family, failed error) {
		winner, err, done = fd, failed, true
	})
	for _, addr := range addrs {
		if addr == "" {
			addr = h.addrOf(server).String()
		}
		d.addrs = append(d.addrs, netip.MustParseAddrPort(addr))
	}
	d.race()
	h.runUntil(func() bool { return done })
	took = engine.Now() - began
	if err == nil {
		if peer, e := engine.RemoteAddr(winner); e != nil || peer.AddrPort != h.addrOf(server) {
			t.Errorf("connected to %v; %v", peer, e)
		}
		h.Drop(winner)
	}
	if h.open != 0 {
		t.Errorf("%d dials are listed after the race", h.open)
	}
	h.Drop(server)
	if leaks := engine.Leaks(); len(leaks) > 0 {
		t.Errorf("left open: %v", leaks)
	}
	return took, err
}

func TestS267_TheNextAddressIsTriedAfterTheDelayAndLosersAreClosed(t *testing.T) {
	const none = -1
	ms := time.Millisecond
	cases := []struct {
		name     string
		delay    time.Duration
		addrs    []string
		from, to time.Duration
	}{
		{"by default 250 ms", 0, []string{silent, ""}, 250 * ms, 260 * ms},
		{"as asked for", 20 * ms, []string{silent, ""}, 20 * ms, 30 * ms},
		{"one more each", 20 * ms, []string{silent, silent6, ""}, 40 * ms, 50 * ms},
		{"at once after a failure", 0, []string{refusing, ""}, 0, 10 * ms},
		{"after a failure the clock starts anew", 20 * ms,
			[]string{refusing, silent, ""}, 20 * ms, 30 * ms},
		{"one after the other", none, []string{silent, ""}, 127000 * ms, 127010 * ms},
		{"the first wins alone", 20 * ms, []string{"", silent}, 0, 10 * ms},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			opts := ConnectOptions{HappyEyeballsDelay: c.delay}
			took, err := race(t, opts, c.addrs...)
			if err != nil || took < c.from || took > c.to {
				t.Errorf("took %v, want %v to %v; %v", took, c.from, c.to, err)
			}
		})
	}
}

func TestS263_TheFirstErrorOrAllOfThem(t *testing.T) {
	opts := ConnectOptions{HappyEyeballsDelay: time.Millisecond, AllErrors: true}
	_, err := race(t, opts, silent, refusing, silent6)
	if !errors.Is(err, syscall.ETIMEDOUT) || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("all errors are %v", err)
	}
	opts.AllErrors = false
	_, err = race(t, opts, refusing, silent)
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the first error is %v", err)
	}
}

// race looks at what is left open in the end.
func TestS262_AddressesAreTriedInOrderUntilOneConnects(t *testing.T) {
	opts := ConnectOptions{HappyEyeballsDelay: -1}
	took, err := race(t, opts, refusing, silent, refusing, "")
	if timeout := 127 * time.Second; err != nil || took < timeout || took > timeout+time.Second {
		t.Errorf("took %v: %v", took, err)
	}
	if took, err = race(t, opts, refusing, "", silent); err != nil || took > time.Second {
		t.Errorf("took %v with the second of three: %v", took, err)
	}
}

func TestS268_Interleave(t *testing.T) {
	parse := func(names []string) (out []netip.AddrPort) {
		for _, name := range names {
			ip := "10.0.0." + name[1:]
			if name[0] == 's' {
				ip = "fd00::" + name[1:]
			}
			out = append(out, netip.AddrPortFrom(netip.MustParseAddr(ip), 1))
		}
		return out
	}
	resolved := []string{"s1", "s2", "s3", "f1", "f2"}
	cases := []struct {
		count    int
		in, want []string
	}{
		{0, resolved, []string{"s1", "f1", "s2", "f2", "s3"}},
		{1, resolved, []string{"s1", "f1", "s2", "f2", "s3"}},
		{2, resolved, []string{"s1", "s2", "f1", "s3", "f2"}},
		{3, resolved, []string{"s1", "s2", "s3", "f1", "f2"}},
		{9, resolved, []string{"s1", "s2", "s3", "f1", "f2"}},
		{-1, resolved, resolved},
		{1, []string{"f1", "f2", "s1"}, []string{"f1", "s1", "f2"}},
		{1, []string{"f1", "f2"}, []string{"f1", "f2"}},
		{1, nil, nil},
	}
	for _, c := range cases {
		if got := interleave(parse(c.in), c.count); !reflect.DeepEqual(got, parse(c.want)) {
			t.Errorf("interleave of %v by %d is %v, want %v", c.in, c.count, got, c.want)
		}
	}
}
