// Package iouring is the engine on io_uring. It needs Linux 6.1: multishot
// receive into a buffer ring, and task work that is deferred until the loop asks
// for it (IORING_SETUP_DEFER_TASKRUN).
//
// All of a turn's operations are handed over, and all of its completions
// fetched, by one io_uring_enter.
package iouring

import (
	"runtime"
	"time"

	"github.com/sluice-net/sluice/loop/internal/arena"
	"github.com/sluice-net/sluice/loop/internal/debug"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/sys"
	"github.com/sluice-net/sluice/uring"
)

// yieldEvery is how long the goroutine may keep its P without telling the
// scheduler. After 10 ms sysmon takes it away, at every blocking call from then
// on: that costs a third more CPU for each message at low load.
const yieldEvery = 5 * time.Millisecond

// The buffer groups of RecvAny and of RecvMsg.
const (
	group         = 0
	datagramGroup = 1
)

type engine struct {
	sys.Kernel

	cfg   proactor.Config
	ring  *uring.Ring
	pool  pool
	slots slots

	datagrams pool

	memory
	scratch scratch
	waker   sys.Waker
	wakeBuf [8]byte
	spin    spinner

	waiting  list     // operations without an SQE yet
	cancels  []uint64 // user_data to cancel, without an SQE yet
	doomed   list     // cancelled before the kernel had them
	starved  list     // receives that found no buffer any more
	hungry   list     // receives that found none at all since they were tried
	lazy     []uint32 // slots of lazy sends handed over and not yet accounted for
	wakerDue bool     // the waker has no SQE yet
	scarce   bool     // receives found no buffer in the last turn, and are to be first
	files    []bool   // by descriptor: found not to be a socket

	pulse     proactor.Pulse // nil: nobody watches
	hasWaitid bool           // the kernel can wait for children

	stats     proactor.Stats
	thread    int
	lastYield time.Duration
	started   bool
	closed    bool
}

// New makes an engine. Errors wrap proactor.ErrNotSupported, or an errno of
// io_uring_setup, with the reason and the remedy.
func New(cfg proactor.Config) (proactor.Proactor, error) {
	if err := supported(); err != nil {
		return nil, err
	}
	cfg = cfg.WithDefaults()
	ring, err := uring.New(cfg.Entries, &uring.Options{CQEntries: cqEntries(cfg), Disabled: true})
	if err != nil {
		return nil, err
	}
	e := &engine{cfg: cfg, ring: ring,
		hasWaitid: uring.ProbeOnce().Has(uring.FeatureWaitid)}
	if err := e.openPools(cfg); err != nil {
		ring.Close()
		return nil, err
	}
	if err := e.waker.Open(); err != nil {
		ring.Close()
		return nil, err
	}
	e.arena = arena.New(sys.Mmap)
	return e, nil
}

// cqEntries leaves room for several completions of each submission: multishot
// operations post more than one. What does not fit is kept by the kernel and
// counted.
func cqEntries(cfg proactor.Config) uint32 { return min(max(4*cfg.Entries, 4096), 65536) }

// Start enables the ring for the calling thread.
func (e *engine) Start() error {
	if e.closed {
		return proactor.ErrClosed
	}
	if err := e.ring.Enable(); err != nil {
		return err
	}
	e.thread = sys.ThreadID()
	e.lastYield = sys.Monotonic()
	e.started = true
	e.armWaker()
	return nil
}

// Submit gives op a slot and an SQE. Where the queue is full it waits for the
// next Wait: only that may make system calls.
func (e *engine) Submit(op *proactor.Op) {
	op.Begin()
	e.stats.Submitted++
	op.Engine.Slot = e.slots.take(op)
	op.Engine.Flag = 0
	e.issue(op)
}

// issue puts op into the submission queue, or on the list of those that wait: that
// while buffers are scarce as well, so that the queue is free for issueFirst.
func (e *engine) issue(op *proactor.Op) {
	if e.waiting.empty() && !e.scarce {
		e.issueFirst(op)
		return
	}
	op.Engine.Flag |= flagWaiting
	e.waiting.push(op)
}

// issueFirst puts op before those that wait, as far as the queue has room.
func (e *engine) issueFirst(op *proactor.Op) {
	if sqe := e.ring.SQE(); sqe != nil {
		e.prepare(op, sqe)
		return
	}
	op.Engine.Flag |= flagWaiting
	e.waiting.push(op)
}

// Cancel asks the kernel to end op where the kernel has it.
func (e *engine) Cancel(op *proactor.Op) {
	if !op.BeginCancel() {
		return
	}
	if op.Engine.Flag&(flagWaiting|flagStarved|flagDoomed) != 0 {
		return // whoever takes it off its list sees that it is cancelled
	}
	e.cancel(e.slots.userData(kindOp, op.Engine.Slot))
}

func (e *engine) cancel(target uint64) {
	sqe := e.ring.SQE()
	if sqe == nil {
		e.cancels = append(e.cancels, target)
		return
	}
	sqe.PrepCancel(target, 0)
	sqe.SetFlags(uring.CQESkipSuccess)
	sqe.SetUserData(pack(kindIgnore, 0, 0))
}

// Wait makes one turn.
func (e *engine) Wait(timeout time.Duration) error {
	if e.closed {
		return proactor.ErrClosed
	}
	if debug.On {
		debug.Assert(e.thread == sys.ThreadID(), "Wait on the thread of Start")
	}
	e.yield()
	e.registerChunks()
	if err := e.hand(); err != nil {
		return err
	}
	if e.deliverDoomed() || e.ring.Ready() > 0 {
		timeout = 0
	}
	if err := e.enter(timeout); err != nil {
		return err
	}
	e.account()
	e.reap()
	e.feedStarved()
	return nil
}

// hand moves what waits for an SQE into the queue, handing full queues over.
func (e *engine) hand() error {
	if e.wakerDue {
		e.armWaker()
	}
	for len(e.cancels) > 0 || !e.waiting.empty() {
		if !e.fill() {
			if err := e.enterNow(); err != nil {
				return err
			}
			e.account()
		}
	}
	return nil
}

// fill reports whether everything that waited has an SQE now.
func (e *engine) fill() bool {
	for !e.waiting.empty() {
		sqe := e.ring.SQE()
		if sqe == nil {
			return false
		}
		op := e.waiting.pop()
		op.Engine.Flag &^= flagWaiting
		if op.Cancelling() {
			sqe.PrepNop()
			sqe.SetUserData(pack(kindIgnore, 0, 0))
			e.doom(op)
			continue
		}
		e.prepare(op, sqe)
	}
	targets := e.cancels
	e.cancels = e.cancels[:0]
	for i, target := range targets {
		e.cancel(target)
		if len(e.cancels) > 0 {
			e.cancels = append(e.cancels, targets[i+1:]...)
			return false
		}
	}
	return true
}

// enter hands the queue over and waits for a completion, no longer than timeout.
func (e *engine) enter(timeout time.Duration) error {
	if timeout == 0 || e.ring.TaskrunPending() {
		return e.enterNow()
	}
	if e.spin.worthwhile(e.slots.used) {
		done, err := e.spinFor()
		if done || err != nil {
			return err
		}
	}
	if !e.waker.Sleep() {
		e.waker.Awake()
		return e.enterNow()
	}
	began := e.spin.began()
	if e.pulse != nil {
		e.pulse.Sleep(began)
	}
	_, err := e.ring.SubmitAndWait(1, timeout)
	e.waker.Awake()
	now := e.spin.slept(began)
	if e.pulse != nil {
		e.woke(now)
	}
	e.stats.Waits++
	return fatal(err)
}

// woke tells that a sleep has ended, at the time now where that is known.
func (e *engine) woke(now time.Duration) {
	if now == 0 {
		now = sys.Monotonic()
	}
	e.pulse.Woke(now)
}

// enterNow hands the queue over and fetches what is there, without waiting.
func (e *engine) enterNow() error {
	if e.ring.Pending() == 0 && !e.ring.TaskrunPending() {
		return nil
	}
	_, err := e.ring.EnterNB()
	return fatal(err)
}

// yield tells the scheduler that this goroutine is alive, now and then, and who
// watches that a round begins.
func (e *engine) yield() {
	now := sys.Monotonic()
	if e.pulse != nil {
		e.pulse.Round(now)
	}
	if now-e.lastYield >= yieldEvery {
		e.lastYield = now
		runtime.Gosched()
	}
}

// Wake makes the current or the next Wait return.
func (e *engine) Wake() { e.waker.Wake() }

// Now is the system's monotonic clock.
func (e *engine) Now() time.Duration { return sys.Monotonic() }

// Watch has p told of time and of a lack of buffers.
func (e *engine) Watch(p proactor.Pulse) { e.pulse = p }

// RingFD is the ring's descriptor.
func (e *engine) RingFD() int { return e.ring.FD() }

// Close cancels what is in flight and, on the ring's thread, waits until the
// kernel has let go of it, so that neither buffers nor ports are still in use.
func (e *engine) Close() error {
	if e.closed {
		return nil
	}
	e.closed = true
	e.waker.Close()
	err := e.ring.Close() // and the pool with it
	e.memory.unmap()
	return err
}

// Stats counts.
func (e *engine) Stats() proactor.Stats {
	s := e.stats
	ring := e.ring.Stats()
	s.Syscalls = ring.Enters + e.Kernel.Calls
	s.Overflows = uint64(e.ring.Overflow())
	s.Wakes = e.waker.Writes()
	s.BuffersInUse = e.pool.circulating + e.datagrams.circulating
	return s
}
