package iouring

import (
	"github.com/sluice-net/sluice/loop/internal/debug"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/uring"
)

// footprint is the amount of memory that the buffers in circulation may fill: what
// stays in a processor's second-level cache.
const footprint = 1 << 20

// pool is the provided buffers of RecvAny, or of RecvMsg. Only some of them are in
// circulation. The ring hands them out first in, first out, so all of them pass
// through the cache in turn. Few are best for large messages (receiving 64 KiB at a
// time cost an eighth less with 16 buffers than with 256), while small messages
// from many connections need many buffers, of which they touch only the beginning.
// So the number in circulation is what holds footprint bytes of messages of the
// recent average size, within BuffersMin and BuffersMax. Buffers are added when a
// receive found none.
//
//	spare --grow--> kernel's --CQE--> lent to the handler --giveBack--> kernel's
//	                                          |           --too many--> spare
//	                                          +--keep--> kept --repaid--> spare
//
// kept: its receiver has not done with it, and a spare one circulates in its place.
type pool struct {
	group              uint16
	ring               *uring.BufRing
	spare              []uint16
	circulating        int
	inKernel           int // of those, how many the kernel may take
	kept               int // not in circulation, nor spare: see keepable
	countMin, countMax int
	usual              int // bytes of a message, times 16: a moving average

	starved  list // receives that wait for a buffer
	unserved list // those of them that found none at all when last tried
}

// open registers the pool. No buffer is in circulation yet.
func (p *pool) open(r *uring.Ring, group uint16, size int, cfg proactor.Config) error {
	ring, err := r.RegisterBufRing(group, cfg.BuffersMax, size)
	if err != nil {
		return err
	}
	p.group, p.ring = group, ring
	p.countMax, p.countMin = cfg.BuffersMax, min(cfg.BuffersMin, cfg.BuffersMax)
	for id := cfg.BuffersMax - 1; id >= 0; id-- {
		p.spare = append(p.spare, uint16(id))
	}
	return nil
}

// openPools registers the two groups. Datagrams have their own because the kernel
// puts a header and the sender's address in front of each: with these, the longest
// datagram fits into a buffer of slightly more than 64 KiB. None of its buffers is
// in circulation before the first RecvMsg.
func (e *engine) openPools(cfg proactor.Config) error {
	if err := e.pool.open(e.ring, proactor.StreamBuffers, cfg.BufferSize, cfg); err != nil {
		return err
	}
	e.pool.grow(e.pool.countMin)
	size := datagramHead + cfg.BufferSize
	return e.datagrams.open(e.ring, proactor.DatagramBuffers, size, cfg)
}

// poolOf returns the pool that op's buffers come from.
func (e *engine) poolOf(op *proactor.Op) *pool {
	if op.Code == proactor.RecvMsg {
		return &e.datagrams
	}
	return &e.pool
}

// grow puts up to n more buffers into circulation.
func (p *pool) grow(n int) {
	for ; n > 0 && len(p.spare) > 0; n-- {
		last := len(p.spare) - 1
		p.ring.Add(p.spare[last])
		p.spare = p.spare[:last]
		p.circulating++
		p.inKernel++
	}
	p.ring.Advance()
}

// wanted returns the maximum number of buffers that should be in circulation.
func (p *pool) wanted() int {
	return min(max(footprint*16/(p.usual+1), p.countMin), p.countMax)
}

func (p *pool) buffer(id uint16) []byte { return p.ring.Buffer(id) }

// giveBack returns a buffer that held n bytes, after its handler is done with it.
func (p *pool) giveBack(id uint16, n int) {
	debug.Poison(p.ring.Buffer(id))
	p.usual += n - p.usual/16
	if p.circulating > p.wanted() {
		p.circulating--
		p.spare = append(p.spare, id)
		return
	}
	p.ring.Add(id)
	p.inKernel++
	p.ring.Advance()
}

// keepable reports whether one more buffer may be kept: at most half of them, so
// that those who have kept the others cannot keep the rest from receiving.
func (p *pool) keepable() bool { return p.kept < p.countMax/2 }

// keep leaves a buffer that held n bytes to its receiver, and puts a spare one into
// circulation instead.
func (p *pool) keep(n int) {
	p.usual += n - p.usual/16
	p.circulating--
	p.kept++
	if p.circulating < p.wanted() {
		p.grow(1)
	}
}

// repaid takes back a buffer that was kept. It is spare now, and the first to be
// used again; if there was no spare one to replace it, it circulates again.
func (p *pool) repaid(id uint16) {
	debug.Poison(p.ring.Buffer(id))
	p.kept--
	none := len(p.spare) == 0
	p.spare = append(p.spare, id)
	if none && p.circulating < p.wanted() {
		p.grow(1)
	}
}

// GiveBack implements proactor.Memory.
func (e *engine) GiveBack(buffer uint16) {
	if !e.closed {
		e.pool.repaid(buffer)
	}
}

// scarce reports whether a receive that wants one more buffer has to wait: for those
// before it, or because the kernel has none left.
func (p *pool) scarce() bool {
	return p.inKernel == 0 || !p.unserved.empty() || !p.starved.empty()
}

// canRetry reports whether a receive waits for a buffer and there is one.
func (p *pool) canRetry() bool {
	return p.inKernel > 0 && !(p.unserved.empty() && p.starved.empty())
}

// next removes from its list the receive that is to have the next buffer, and
// returns it, or nil if none waits: first those that got nothing when they were
// last tried.
func (p *pool) next() *proactor.Op {
	if op := p.unserved.pop(); op != nil {
		return op
	}
	return p.starved.pop()
}

// starve makes a receive wait for a buffer: one that found none, or one that has
// had one and wants more while others wait.
func (e *engine) starve(op *proactor.Op) {
	p := e.poolOf(op)
	e.stats.BuffersExhausted++
	if e.cfg.BuffersExhausted != nil {
		e.cfg.BuffersExhausted(p.group)
	}
	if op.Cancelling() {
		e.finish(op, ecanceled)
		return
	}
	if e.observer != nil {
		e.observer.Starved(op)
	}
	op.Engine.Flag |= flagStarved
	if op.Engine.Flag&flagServed == 0 {
		p.unserved.push(op)
	} else {
		p.starved.push(op)
	}
}

// retryStarved retries as many starved receives as there are buffers, at the end of
// the turn, when those of the turn have been returned: any more would find none,
// and a receive that finds none costs as much as one that does. While receives
// still wait and there is a buffer that nobody takes, the loop does not sleep.
//
// Retries are handed over before everything else. A queue full of sends causes an
// enter of its own, in which receives that were armed all along would take the
// buffers, again and again: some connections then got nothing at all, among a
// thousand busy ones on Linux 6.1 and 6.12, and on 6.18 with a queue of fewer than
// 20 entries.
func (e *engine) retryStarved() {
	e.scarce = false
	for _, p := range [...]*pool{&e.pool, &e.datagrams} {
		if p.unserved.empty() && p.starved.empty() {
			continue
		}
		e.scarce = true
		p.grow(min(p.circulating, p.wanted()-p.circulating))
		for range p.inKernel {
			op := p.next()
			if op == nil {
				break
			}
			op.Engine.Flag &^= flagStarved | flagServed
			if e.observer != nil {
				e.observer.Retried(op)
			}
			if op.Cancelling() {
				e.cancelEarly(op)
				continue
			}
			e.issueFirst(op)
		}
	}
}

// canRetry reports whether a receive waits for a buffer that is available.
func (e *engine) canRetry() bool { return e.pool.canRetry() || e.datagrams.canRetry() }

// sweep removes from their lists the operations that were cancelled while on one,
// so that they end in the next turn.
func (e *engine) sweep() {
	if e.unlisted == 0 {
		return
	}
	e.unlisted = 0
	for _, l := range [...]*list{&e.waiting, &e.resting, &e.pool.unserved, &e.pool.starved,
		&e.datagrams.unserved, &e.datagrams.starved} {
		l.sweep(func(op *proactor.Op) {
			op.Engine.Flag &^= flagWaiting | flagResting | flagStarved
			e.cancelEarly(op)
		})
	}
}

// cancelEarly arranges for a cancelled operation that the kernel does not have to
// complete in the next turn, or at the end of this one.
func (e *engine) cancelEarly(op *proactor.Op) {
	op.Engine.Flag |= flagCancelledEarly
	e.cancelledEarly.push(op)
}

// deliverCancelledEarly completes those operations and reports whether there were
// any.
func (e *engine) deliverCancelledEarly() bool {
	n := e.cancelledEarly.len()
	for range n {
		e.finishDone(e.cancelledEarly.pop(), ecanceled)
	}
	return n > 0
}
