package loop

import (
	"sync/atomic"
	"time"

	"github.com/sluice-net/sluice/loop/internal/page"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport/flowpage"
)

// pagesMade numbers the loops of the process that have a page.
var pagesMade atomic.Uint32

// pageEngines are the engines as the page calls them.
var pageEngines = [...]flowpage.Engine{Uring: flowpage.EngineUring,
	Epoll: flowpage.EngineEpoll, sim: flowpage.EngineSim}

// openPage makes the loop's flow page where Options.FlowPage asks for one.
func (l *Loop) openPage() error {
	if !l.opts.FlowPage {
		return nil
	}
	o := page.Options{Loop: pagesMade.Add(1), RingFD: -1, Now: l.engine.Now(),
		Engine: pageEngines[l.kind]}
	if ring, ok := l.engine.(interface{ RingFD() int }); ok {
		o.RingFD = ring.RingFD()
	}
	made, err := page.New(o)
	if err != nil {
		return err
	}
	l.page = made
	l.engine.Watch((*pulse)(l))
	return nil
}

// closePage frees the page, which no transport is on any more.
func (l *Loop) closePage() {
	if l.page == nil {
		return
	}
	if err := l.page.Close(); err != nil {
		l.logger().Error("Error closing the flow page", "err", err)
	}
	l.page, l.fed = nil, nil
}

// pulse is the loop as its engine sees it where there is a page.
type pulse Loop

var _ proactor.Pulse = (*pulse)(nil)

// Round implements proactor.Pulse. Receives that were tried again in the last round
// have lacked a buffer until now: the kernel gets them in this one.
func (p *pulse) Round(now time.Duration) {
	p.page.Turn(now)
	for i, op := range p.fed {
		p.starved(op, false)
		p.fed[i] = nil
	}
	p.fed = p.fed[:0]
}

// Sleep implements proactor.Pulse.
func (p *pulse) Sleep(now time.Duration) { p.page.Sleep(now) }

// Woke implements proactor.Pulse.
func (p *pulse) Woke(now time.Duration) { p.page.Wake(now) }

// Starved implements proactor.Pulse.
func (p *pulse) Starved(op *proactor.Op) { p.starved(op, true) }

// Fed implements proactor.Pulse.
func (p *pulse) Fed(op *proactor.Op) { p.fed = append(p.fed, op) }

func (p *pulse) starved(op *proactor.Op, yes bool) {
	if s, ok := op.Handler.(interface{ Starved(yes bool) }); ok {
		s.Starved(yes)
	}
}
