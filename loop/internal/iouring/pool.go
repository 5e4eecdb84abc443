package iouring

import (
	"github.com/sluice-net/sluice/loop/internal/debug"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/uring"
)

// pool is the provided buffers of RecvAny and RecvMsg. Only some of them are in
// circulation: the ring hands them out first in, first out, so the fewer there
// are the better they stay in the cache. When a receive finds none, as many
// again are added, up to all of them.
//
//	kernel's --CQE--> lent to the handler --giveBack--> kernel's
type pool struct {
	ring        *uring.BufRing
	circulating int
	max         int
}

func (p *pool) open(r *uring.Ring, cfg proactor.Config) error {
	ring, err := r.RegisterBufRing(group, cfg.BuffersMax, cfg.BufferSize)
	if err != nil {
		return err
	}
	p.ring, p.max = ring, cfg.BuffersMax
	p.grow(min(cfg.BuffersMin, cfg.BuffersMax))
	return nil
}

// grow puts n more buffers into circulation.
func (p *pool) grow(n int) {
	for ; n > 0 && p.circulating < p.max; n-- {
		p.ring.Add(uint16(p.circulating))
		p.circulating++
	}
	p.ring.Advance()
}

func (p *pool) buffer(id uint16) []byte { return p.ring.Buffer(id) }

// giveBack returns a buffer to the kernel, after its handler is done with it.
func (p *pool) giveBack(id uint16) {
	debug.Poison(p.ring.Buffer(id))
	p.ring.Add(id)
	p.ring.Advance()
}

// starve notes that a receive found no buffer. It is tried again at the end of
// the turn, when the buffers of the turn are back: at once it would find none.
func (e *engine) starve(op *proactor.Op) {
	e.stats.BuffersExhausted++
	if e.cfg.BuffersExhausted != nil {
		e.cfg.BuffersExhausted(group)
	}
	if op.Cancelling() {
		e.finish(op, ecanceled)
		return
	}
	op.Engine.Flag |= flagStarved
	e.starved.push(op)
}

// feedStarved adds buffers and tries the starved receives again.
func (e *engine) feedStarved() {
	n := e.starved.len()
	if n == 0 {
		return
	}
	e.pool.grow(e.pool.circulating)
	for range n {
		op := e.starved.pop()
		op.Engine.Flag &^= flagStarved
		if op.Cancelling() {
			e.doom(op)
			continue
		}
		e.issue(op)
	}
}

// doom has a cancelled operation that the kernel does not have completed in the
// next turn.
func (e *engine) doom(op *proactor.Op) {
	op.Engine.Flag |= flagDoomed
	e.doomed.push(op)
}

// deliverDoomed reports whether there were any.
func (e *engine) deliverDoomed() bool {
	n := e.doomed.len()
	for range n {
		e.finishDone(e.doomed.pop(), ecanceled)
	}
	return n > 0
}
