package opener

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// bindFirst opens the first local address that works, as it is done for a name with
// several.
func (h *bareHost) bindFirst(t *testing.T, locals ...string) (c fdio.DatagramConfig, err error) {
	var pairs []ends
	for _, a := range locals {
		local := transport.Addr{AddrPort: netip.MustParseAddrPort(a)}
		pairs = append(pairs, ends{family: proactor.IPv4, local: local})
	}
	done := false
	b := &datagramBinding{host: h, ctx: t.Context(),
		done: func(made fdio.DatagramConfig, failed error) { c, err, done = made, failed, true }}
	b.try(pairs)
	h.runUntil(func() bool { return done })
	return c, err
}

func TestS168_TheFirstPairThatWorksIsUsedOrTheFirstErrorReturned(t *testing.T) {
	h := newBareHost(t)
	const foreign, free = "192.0.2.1:7", "127.0.0.1:7"
	taken, err := h.bindFirst(t, foreign, free)
	if err != nil {
		t.Fatal(err)
	}
	if name := taken.Local; name == nil || name.String() != free {
		t.Errorf("bound to %v", name)
	}
	for _, c := range []struct {
		locals []string
		want   syscall.Errno
	}{
		{[]string{foreign, free}, syscall.EADDRNOTAVAIL},
		{[]string{free, foreign}, syscall.EADDRINUSE},
	} {
		_, err := h.bindFirst(t, c.locals...)
		op, ok := errors.AsType[*net.OpError](err)
		if !ok || !errors.Is(err, c.want) || op.Addr.String() != c.locals[0] {
			t.Errorf("%v: %v, want %v", c.locals, err, c.want)
		}
	}
	h.Drop(taken.FD)
	if leaks := h.engine.Leaks(); len(leaks) > 0 {
		t.Errorf("left open: %v", leaks)
	}
}
