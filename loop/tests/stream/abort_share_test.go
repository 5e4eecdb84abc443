package stream_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/transport"
)

// leaver aborts its connection once it has received limit bytes.
type leaver struct {
	sink
	loop  *loop.Loop
	t     transport.Transport
	limit int
	order []string
}

func (p *leaver) DataReceived(data []byte) {
	hold(time.Millisecond) // the peer is faster
	if p.limit -= len(data); p.limit > 0 || p.t.IsClosing() {
		return
	}
	p.t.Abort()
	p.loop.CallSoon(func() { p.order = append(p.order, "scheduled after it") })
}

func (p *leaver) ConnectionLost(error) { p.order = append(p.order, "lost") }

// What a connection receives beyond its share waits for the next round; its end does not.
func TestAbortBeyondAShareOfTheRoundIsReportedInTheSameRound(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		for range 10 {
			conns := rig.OutsideConns(t, l, "tcp", 1)
			p := &leaver{loop: l, t: conns[0].Transport(), limit: roundMax}
			looptest.Do(l, func() {
				rig.SetOption(t, p.t, syscall.SO_RCVBUFFORCE, 8<<20)
				if err := p.t.SetProtocol(p); err != nil {
					t.Error(err)
				}
			})
			busy(t, conns, 1, make([]byte, 1<<20))
			looptest.WaitFor(t, l, "the end", func() bool { return len(p.order) == 2 })
			looptest.Do(l, func() {
				if p.order[0] != "lost" {
					t.Errorf("told in this order: %q", p.order)
				}
			})
		}
	})
}
