package loop

import (
	"sync/atomic"
	"time"

	"github.com/sluice-net/sluice/loop/internal/page"
	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// pagesMade numbers the loops of the process that have a page.
var pagesMade atomic.Uint32

// pageEngines maps each engine to the constant that stands for it in the page.
var pageEngines = [...]uint32{Uring: page.EngineUring, Epoll: page.EngineEpoll,
	sim: page.EngineSim}

// openPage makes the loop's flow page if Options.FlowPage asks for one.
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
	l.engine.Watch((*pageObserver)(l))
	return nil
}

// closePage frees the page. No transport is on it any more.
func (l *Loop) closePage() {
	if l.page == nil {
		return
	}
	if err := l.page.Close(); err != nil {
		l.logger().Error("Error closing the flow page", "err", err)
	}
	l.page, l.retried = nil, nil
}

// pageObserver is the loop as the observer of its engine, if there is a page.
type pageObserver Loop

var _ proactor.Observer = (*pageObserver)(nil)

// Round implements proactor.Observer. Receives that were retried in the last round lacked
// a buffer until now: the kernel gets them in this round.
func (p *pageObserver) Round(now time.Duration) {
	p.page.Turn(now)
	for i, op := range p.retried {
		p.starved(op, false)
		p.retried[i] = nil
	}
	p.retried = p.retried[:0]
}

// Sleep implements proactor.Observer.
func (p *pageObserver) Sleep(now time.Duration) { p.page.Sleep(now) }

// Woke implements proactor.Observer.
func (p *pageObserver) Woke(now time.Duration) { p.page.Wake(now) }

// Starved implements proactor.Observer.
func (p *pageObserver) Starved(op *proactor.Op) { p.starved(op, true) }

// Retried implements proactor.Observer.
func (p *pageObserver) Retried(op *proactor.Op) { p.retried = append(p.retried, op) }

func (p *pageObserver) starved(op *proactor.Op, yes bool) {
	if s, ok := op.Handler.(interface{ Starved(yes bool) }); ok {
		s.Starved(yes)
	}
}
