package iouring

import (
	"errors"
	"time"

	"github.com/sluice-net/sluice/loop/internal/debug"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/sys"
	"github.com/sluice-net/sluice/uring"
)

// errLost ends an engine: the kernel had no memory left to keep a completion that
// did not fit into the queue. There is no telling whose it was.
var errLost = errors.New("iouring: the kernel lost a completion for lack of memory")

// turn holds what is known about the operations of a turn. A turn makes one enter,
// or several if there are more SQEs than the queue holds, if completions overflow,
// or if something was cancelled. Each enter is followed by settle, whatever it
// returned, and nothing is concluded from an enter before it is settled.
//
//	            SQE filled in               the kernel's head has passed it
//	idle ------------------------> prepared ------------------------------> taken
//	                                  ^  |                                    |
//	             partial submission,  |  | EBUSY, EAGAIN, ENOMEM, EINTR:      |
//	             the next enter       +--+ not passed, still prepared         |
//	                                                                          |
//	     its handler is called        the queue is whole: no overflow is left |
//	done <--------------------- reaped <--------------------------------------+
//	                              |            accounted
//	                              +--> prepared again: the rest, or a wait for room
//
// What an enter took is known from the queue's head alone, never from what the call
// returned. The completion queue is whole when everything that the kernel had for
// it has been moved to our own lists: those that overflowed are fetched until there
// are none, and a completion that the kernel had no memory for ends the engine
// (errLost).
//
// A send to a socket is silent: it has MSG_DONTWAIT, so the enter that takes it
// carries it out, and IOSQE_CQE_SKIP_SUCCESS with MSG_WAITALL, so it posts a
// completion exactly if not all of it was sent. It is accounted for once it has
// been taken and the queue is whole: it has then either failed, according to its
// completion, or succeeded. Each completion is looked at once, when it is moved.
type turn struct {
	prepared uint64 // SQEs filled in since the ring was made
	taken    uint64 // of those, how many the kernel has taken

	silent  []silentSend // prepared or taken, not accounted for, in that order
	head    int          // the first of them
	eager   bool         // an owner waits for one of them: do not sleep
	told    bool         // an owner was told of its end in this turn: do not sleep
	arrived []uring.CQE  // moved out of the queue, not delivered yet, in order
	writes  []uring.CQE  // the same, of writes to anything but a socket
	later   []uring.CQE  // of operations that have had their share of the round
	late    []uring.CQE  // the other buffer of later

	lost      uint32 // what the ring counted as dropped when it was made
	overflown uint64 // completions that were fetched because they overflowed
	round     uint32 // counts turns
	pass      uint32 // counts reaps, of which a turn has one or several
	stalled   bool   // the kernel took nothing of what it was offered
}

// silentSend is a send that posts nothing if it succeeds.
type silentSend struct {
	slot uint32
	at   uint64 // which SQE it was
}

// nap is how long to wait before asking a kernel again that took nothing.
const nap = time.Millisecond

// flushesMax bounds the fruitless calls in a row that try to fetch what overflowed.
// The turn then ends without having concluded anything, and the next one continues.
const flushesMax = 64

// Wait makes one turn.
func (e *engine) Wait(timeout time.Duration) error {
	if e.closed {
		return proactor.ErrClosed
	}
	if debug.On {
		debug.Assert(e.thread == sys.ThreadID(), "Wait on the thread of Start")
	}
	e.round++
	e.beginRound()
	e.registerChunks()
	e.stalled, e.told = false, false
	timeout = e.wakeRested(timeout)
	if err := e.hand(); err != nil {
		return err
	}
	if e.deliverCancelledEarly() || e.busy() {
		timeout = 0
	}
	if whole, err := e.handLast(timeout); !whole {
		return err
	}
	e.reap()
	if e.ending > 0 {
		if err := e.endCancelled(); err != nil {
			return err
		}
	}
	e.retryStarved()
	return nil
}

// handLast makes the enter that may sleep, and returns what settle returns. A
// kernel that takes nothing is left alone for a moment, in which it may make
// progress with what it has.
func (e *engine) handLast(timeout time.Duration) (whole bool, err error) {
	if !e.stalled {
		if err := e.enter(timeout); err != nil {
			return false, err
		}
		if whole, err := e.settle(); !whole || !e.stalled {
			return whole, err
		}
	}
	if timeout != 0 {
		if err := fatal(e.ring.Wait(1, nap)); err != nil {
			return false, err
		}
	}
	return e.settle()
}

// busy reports whether there is work that no completion will announce.
func (e *engine) busy() bool {
	return e.eager || e.told || len(e.arrived) > 0 || len(e.writes) > 0 || len(e.later) > 0 ||
		!e.waiting.empty() || len(e.cancels) > 0 || !e.cancelledEarly.empty() || e.canRetry()
}

// endCancelled makes what was cancelled in this turn end in it, as far as the
// kernel releases it at once: as with epoll, code that aborts a connection is told
// of its end before anything that it schedules afterwards is run. The kernel ends
// some twenty operations in each enter (IO_LOCAL_TW_DEFAULT_MAX in io_uring.c); if
// an enter ended none, the rest are busy in a worker.
func (e *engine) endCancelled() error {
	for before := e.ended - 1; e.ending > 0 && e.ended != before; {
		before = e.ended
		if err := e.hand(); err != nil {
			return err
		}
		e.deliverCancelledEarly()
		if err := e.enterNow(); err != nil {
			return err
		}
		if whole, err := e.settle(); !whole {
			return err
		}
		e.reap()
	}
	return nil
}

// hand moves operations that wait for an SQE into the queue, and hands over each
// full queue. What its handlers add waits for the next turn, so that none of them
// can keep this one from ending.
func (e *engine) hand() error {
	e.sweep()
	left := e.waiting.len()
	for !e.fill(&left) {
		if err := e.enterNow(); err != nil {
			return err
		}
		if whole, err := e.settle(); !whole || e.stalled {
			return err
		}
	}
	return nil
}

// fill fills the queue and reports whether everything that waited has an SQE now:
// the waker, without which nobody can end the loop's sleep, all cancels, and as
// many operations as are left.
func (e *engine) fill(left *int) bool {
	if e.wakerDue {
		e.armWaker()
		if e.wakerDue {
			return false
		}
	}
	for i, target := range e.cancels {
		if !e.prepareCancel(target) {
			e.cancels = append(e.cancels[:0], e.cancels[i:]...)
			return false
		}
	}
	e.cancels = e.cancels[:0]
	for ; *left > 0; *left-- {
		op := e.waiting.first()
		if op.Cancelling() {
			e.waiting.pop()
			op.Engine.Flag &^= flagWaiting
			e.cancelEarly(op)
			continue
		}
		if !e.hasRoom(op) {
			return false
		}
		e.waiting.pop()
		op.Engine.Flag &^= flagWaiting
		e.prepare(op)
	}
	return true
}

// enter hands the queue over and waits for a completion, no longer than timeout.
func (e *engine) enter(timeout time.Duration) error {
	if timeout == 0 || e.ring.TaskrunPending() || e.ring.Overflowed() {
		return e.enterNow()
	}
	if !e.simulated && e.spin.worthwhile(e.slots.used) {
		done, err := e.spinFor()
		if done || err != nil {
			return err
		}
	}
	if !e.waker.Sleep() {
		e.waker.Awake()
		return e.enterNow()
	}
	began := e.Now()
	if e.observer != nil {
		e.observer.Sleep(began)
	}
	_, err := e.ring.SubmitAndWait(1, timeout)
	e.waker.Awake()
	if now := e.spin.slept(began, e.machine); e.observer != nil {
		e.woke(now)
	}
	e.stats.Waits++
	return fatal(err)
}

// enterNow hands the queue over and fetches the completions that are there, without
// waiting.
func (e *engine) enterNow() error {
	if e.ring.Pending() == 0 && !e.ring.TaskrunPending() && !e.ring.Overflowed() {
		return nil
	}
	_, err := e.ring.EnterNB()
	return fatal(err)
}

// settle is called after every enter. It moves the completions out of the queue
// until no overflowed ones are left in the kernel, and then accounts for the sends
// that were taken. It reports whether the queue is whole; if it is not, nothing is
// known and nothing may be delivered.
func (e *engine) settle() (whole bool, err error) {
	before := e.taken
	e.taken = e.prepared - uint64(e.ring.Pending())
	debug.Assert(e.taken >= before, "the kernel gives nothing back that it has taken")
	e.stalled = e.taken == before && e.prepared > before
	e.collect()
	for fruitless := 0; e.ring.Overflowed(); {
		if err := fatal(e.ring.Wait(0, 0)); err != nil {
			return false, err
		}
		n := e.collect()
		e.overflown += uint64(n)
		if n > 0 {
			fruitless = 0
		} else if fruitless++; fruitless == flushesMax {
			return false, nil
		}
	}
	if e.ring.Overflow() != e.lost {
		return false, errLost
	}
	e.account()
	return true, nil
}

// collect moves the completions that are in the queue to our own lists, and returns
// how many there were. The failure of a silent send is recorded in its slot.
func (e *engine) collect() int {
	n := e.ring.Ready()
	for i := range n {
		cqe := e.ring.PeekAt(i)
		switch cqe.UserData >> 56 {
		case kindOp:
			if cqe.HasBuffer() {
				e.pool.inKernel--
			}
			e.arrived = append(e.arrived, *cqe)
		case kindMsg:
			if cqe.HasBuffer() {
				e.datagrams.inKernel--
			}
			e.arrived = append(e.arrived, *cqe)
		case kindSend:
			e.failed(*cqe)
		case kindWrite:
			e.writes = append(e.writes, *cqe)
		case kindWake:
			e.armWaker()
		}
	}
	e.ring.Advance(n)
	return n
}

// failed records that a silent send was not done. A connection's error is delivered
// in order: a receive of the same enter may have been told of it first, and in more
// detail, because a socket reports its error once.
func (e *engine) failed(cqe uring.CQE) {
	s := e.slots.find(cqe.UserData)
	if s == nil || !s.silent || s.failed {
		panic("iouring: completion of a send that is not in flight")
	}
	s.failed, s.res = true, cqe.Res
	if endsConnection(cqe.Res) {
		e.arrived = append(e.arrived, cqe)
	}
}

// endsConnection reports whether a send that completed with res will not be tried
// again.
func endsConnection(res int32) bool {
	return res < 0 && res != eagain && res != eintr && res != enotsock
}

// account completes the silent sends that were taken, now that the queue is whole:
// before any other completion is delivered, for those happened later.
func (e *engine) account() {
	for e.head < len(e.silent) && e.silent[e.head].at < e.taken {
		s := &e.slots.all[e.silent[e.head].slot]
		e.head++
		op := s.op
		failed, res := s.failed, s.res
		s.silent, s.failed = false, false
		e.told = e.told || failed || !op.Lazy
		switch {
		case !failed:
			op.Engine.Done = sendSize(op)
			e.finish(op, int32(op.Engine.Done))
		case !endsConnection(res): // else its completion is among those that arrived
			e.completeSend(op, res)
		}
	}
	e.silent = append(e.silent[:0], e.silent[e.head:]...)
	e.head = 0
	e.eager = e.eager && len(e.silent) > 0
}

// beginRound tells the scheduler that this goroutine is alive, and the observer
// that a round begins.
func (e *engine) beginRound() {
	now := e.Now()
	if e.observer != nil {
		e.observer.Round(now)
	}
	e.yielder.Yield(now)
}

// woke tells the observer that a sleep has ended, at the time now if that is known.
func (e *engine) woke(now time.Duration) {
	if now == 0 {
		now = e.Now()
	}
	e.observer.Woke(now)
}
