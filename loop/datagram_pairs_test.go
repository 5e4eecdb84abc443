package loop

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"github.com/sluice-net/sluice/loop/internal/hook"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/simio"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// deaf is a DatagramProtocol that does nothing.
type deaf struct{ protocol.DatagramBase }

func (*deaf) DatagramReceived([]byte, transport.Addr) {}

// bindFirst makes an endpoint of the first local address that can be had, as one is
// made of a name with several.
func bindFirst(t *testing.T, l *Loop, locals ...string) (transport.DatagramTransport, error) {
	var pairs []ends
	for _, a := range locals {
		local := transport.Addr{AddrPort: netip.MustParseAddrPort(a)}
		pairs = append(pairs, ends{family: proactor.IPv4, local: local})
	}
	return block(t.Context(), l, func(done func(transport.DatagramTransport, error)) {
		b := &datagramBinding{loop: l, ctx: t.Context(), protocol: &deaf{}, done: done}
		b.try(pairs)
	})
}

func TestS168_TheFirstPairThatCanBeHadIsTakenOrTheFirstError(t *testing.T) {
	engine := simio.New(simio.Options{Seed: 1})
	l := hook.New(engine, (*Options)(nil)).(*Loop)
	const foreign, free = "192.0.2.1:7", "127.0.0.1:7"
	taken, err := bindFirst(t, l, foreign, free)
	if err != nil {
		t.Fatal(err)
	}
	if name := transport.SockName(taken); name == nil || name.String() != free {
		t.Errorf("bound to %v", name)
	}
	for _, c := range []struct {
		locals []string
		want   syscall.Errno
	}{
		{[]string{foreign, free}, syscall.EADDRNOTAVAIL},
		{[]string{free, foreign}, syscall.EADDRINUSE},
	} {
		_, err := bindFirst(t, l, c.locals...)
		op, ok := errors.AsType[*net.OpError](err)
		if !ok || !errors.Is(err, c.want) || op.Addr.String() != c.locals[0] {
			t.Errorf("%v: %v, want %v", c.locals, err, c.want)
		}
	}
	if err := l.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if leaks := engine.Leaks(); len(leaks) > 0 {
		t.Errorf("left open: %v", leaks)
	}
}
