package opener

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/simio"
	"github.com/sluice-net/sluice/transport"
)

// bareHost is an engine with timers that are due when somebody runs them.
type bareHost struct {
	engine *simio.Engine
	due    []func()
}

func (h *bareHost) Engine() proactor.Proactor          { return h.engine }
func (h *bareHost) Drop(fd int)                        { _ = h.engine.CloseFD(fd) }
func (h *bareHost) Ending() bool                       { return false }
func (h *bareHost) OnDisk(string) bool                 { return false }
func (h *bareHost) BufferSize() int                    { return 64 << 10 }
func (h *bareHost) Fallback(string, error)             {}
func (h *bareHost) Post(f func())                      { h.due = append(h.due, f) }
func (h *bareHost) NoteLookup([]string, time.Duration) {}
func (h *bareHost) After(_ time.Duration, f func()) fdio.Timer {
	h.due = append(h.due, f)
	return nil
}

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
	for !done && len(h.due) > 0 {
		f := h.due[0]
		h.due = h.due[1:]
		f()
	}
	if !done {
		t.Error("done was not called")
	}
	return c, err
}

func TestS168_TheFirstPairThatWorksIsUsedOrTheFirstErrorReturned(t *testing.T) {
	h := &bareHost{engine: simio.New(simio.Options{Seed: 1})}
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
