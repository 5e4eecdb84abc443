package opener

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/registry"
	"github.com/sluice-net/sluice/loop/internal/simio"
	"github.com/sluice-net/sluice/transport"
)

// bareHost is a simulated engine with timers. It has no loop: runUntil is its rounds.
type bareHost struct {
	t      *testing.T
	engine *simio.Engine
	timers []*bareTimer
	open   int // resources
}

// bareTimer is a timer of a bareHost.
type bareTimer struct {
	when time.Duration
	f    func() // nil: stopped, or over
}

// Cancel implements fdio.Timer.
func (b *bareTimer) Cancel() { b.f = nil }

func newBareHost(t *testing.T) *bareHost {
	h := &bareHost{t: t, engine: simio.New(simio.Options{Seed: 1})}
	if err := h.engine.Start(); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *bareHost) Engine() proactor.Proactor          { return h.engine }
func (h *bareHost) Drop(fd int)                        { _ = h.engine.CloseFD(fd) }
func (h *bareHost) Ending() bool                       { return false }
func (h *bareHost) OnDisk(string) bool                 { return false }
func (h *bareHost) BufferSize() int                    { return 64 << 10 }
func (h *bareHost) Report(e fdio.Exception)            { h.t.Errorf("reported: %v", e) }
func (h *bareHost) Fallback(string, error)             {}
func (h *bareHost) Post(f func())                      { h.After(0, f) }
func (h *bareHost) NoteLookup([]string, time.Duration) {}
func (h *bareHost) Opened(registry.Resource)           { h.open++ }
func (h *bareHost) Closed(registry.Resource)           { h.open-- }

func (h *bareHost) WhenDone(context.Context, func()) (stop func()) { return func() {} }

func (h *bareHost) After(d time.Duration, f func()) fdio.Timer {
	made := &bareTimer{when: h.engine.Now() + d, f: f}
	h.timers = append(h.timers, made)
	slices.SortStableFunc(h.timers, func(a, b *bareTimer) int { return int(a.when - b.when) })
	return made
}

// runUntil runs the engine and the timers until done returns true, for an hour of
// virtual time at most.
func (h *bareHost) runUntil(done func() bool) {
	h.t.Helper()
	for limit := h.engine.Now() + time.Hour; !done(); {
		timeout := limit - h.engine.Now()
		if timeout <= 0 {
			h.t.Fatal("nothing came of it in an hour")
		}
		if len(h.timers) > 0 {
			timeout = min(timeout, max(0, h.timers[0].when-h.engine.Now()))
		}
		if err := h.engine.Wait(timeout); err != nil {
			h.t.Fatal(err)
		}
		for len(h.timers) > 0 && h.timers[0].when <= h.engine.Now() {
			due := h.timers[0]
			h.timers = h.timers[1:]
			if due.f != nil {
				due.f()
			}
		}
	}
}

// listen makes a listener on the local host.
func (h *bareHost) listen() int {
	h.t.Helper()
	fd, err := h.engine.Socket(proactor.IPv4, proactor.Stream)
	if err == nil {
		err = h.engine.Bind(fd, transport.Addr{AddrPort: netip.MustParseAddrPort("127.0.0.1:0")})
	}
	if err == nil {
		err = h.engine.Listen(fd, 10)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return fd
}

// addrOf returns the address of a listener.
func (h *bareHost) addrOf(fd int) netip.AddrPort {
	h.t.Helper()
	addr, err := h.engine.LocalAddr(fd)
	if err != nil {
		h.t.Fatal(err)
	}
	return addr.AddrPort
}
