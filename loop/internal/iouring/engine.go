// Package iouring is the engine on io_uring. It needs Linux 6.1: multishot
// receive into a buffer ring, and task work that is deferred until the loop asks
// for it (IORING_SETUP_DEFER_TASKRUN).
//
// All of a turn's operations are handed over, and all of its completions fetched,
// by one io_uring_enter if they fit into the queues: see turn.
//
// An operation is in one place at a time:
//
//	on a list: waiting (for an SQE), starved (for a buffer), cancelledEarly (to end)
//	in an SQE, or in the kernel: one request, which its slot names
//	in a list of completions: arrived, writes, later
package iouring

import (
	"sync"
	"time"

	"github.com/sluice-net/sluice/loop/internal/arena"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/procs"
	"github.com/sluice-net/sluice/loop/internal/sys"
	"github.com/sluice-net/sluice/uring"
	"golang.org/x/sys/unix"
)

type engine struct {
	proactor.Kernel // the machine's

	machine   Machine
	simulated bool
	cfg       proactor.Config
	ring      *uring.Ring
	slots     slots
	pool      pool
	datagrams pool

	memory
	waker   sys.Waker
	wakeBuf [8]byte
	spin    spinner
	name    sys.Sockaddr // scratch for an address that is about to be staged
	layouts [2]unix.Msghdr

	turn
	waiting        list     // operations without an SQE yet
	cancels        []uint64 // user_data to cancel, without an SQE yet
	cancelledEarly list     // cancelled, and not in the kernel
	wakerDue       bool     // the waker has no SQE yet
	scarce         bool     // receives found no buffer in the last turn, and go first
	unlisted       int      // cancelled while on a list
	ending         int      // cancelled, and not ended yet
	ended          uint64   // were cancelled, and have ended
	resting        list     // sends that found no room although a poll had reported some
	restedAt       time.Duration
	files          []bool // by descriptor: found not to be a socket

	observer  proactor.Observer // nil: nobody watches
	hasWaitid bool              // the kernel can wait for children

	stats   proactor.Stats
	thread  int
	yielder procs.Yielder
	started bool
	closed  bool
}

// New creates an engine. Errors wrap errors.ErrUnsupported, or an errno of
// io_uring_setup, with the reason and the remedy.
func New(cfg proactor.Config) (proactor.Proactor, error) {
	if err := supported(); err != nil {
		return nil, err
	}
	e, err := newEngine(&linux{}, cfg)
	if err != nil {
		return nil, err
	}
	e.hasWaitid = uring.ProbeOnce().Has(uring.FeatureWaitid)
	return e, nil
}

// NewOn creates an engine on a machine other than Linux. It never spins before it
// sleeps: on such a machine time passes only during sleep.
func NewOn(m Machine, cfg proactor.Config) (proactor.Proactor, error) {
	e, err := newEngine(m, cfg)
	if err != nil {
		return nil, err
	}
	e.simulated, e.hasWaitid = true, true
	return e, nil
}

func newEngine(m Machine, cfg proactor.Config) (*engine, error) {
	cfg = cfg.WithDefaults()
	ring, err := uring.New(cfg.Entries, &uring.Options{CQEntries: cqEntries(cfg),
		Disabled: true, System: m.System()})
	if err != nil {
		return nil, err
	}
	e := &engine{Kernel: m, machine: m, cfg: cfg, ring: ring, layouts: datagramLayouts()}
	e.lost = ring.Overflow()
	if err := e.openPools(cfg); err != nil {
		ring.Close()
		return nil, err
	}
	fd, signal, err := m.Eventfd()
	if err != nil {
		ring.Close()
		return nil, err
	}
	e.waker.OpenOn(fd, signal, m.CloseEventfd)
	e.arena = arena.New(m.Mmap)
	return e, nil
}

// cqEntries leaves room for several completions of each submission, unless the
// configuration overrides it: multishot operations post more than one. What does
// not fit is kept by the kernel and counted.
func cqEntries(cfg proactor.Config) uint32 {
	if cfg.CQEntries != 0 {
		return max(cfg.CQEntries, cfg.Entries)
	}
	return min(max(4*cfg.Entries, 4096), cqEntriesMax)
}

// cqEntriesMax is the kernel's limit (IORING_MAX_CQ_ENTRIES).
const cqEntriesMax = 65536

// Start enables the ring for the calling thread.
func (e *engine) Start() error {
	if e.closed {
		return proactor.ErrClosed
	}
	if err := e.ring.Enable(); err != nil {
		return err
	}
	e.thread = sys.ThreadID()
	e.yielder.Start(e.Now())
	e.started = true
	e.armWaker()
	return nil
}

// Submit gives op a slot and an SQE. If the queue is full op waits for the next
// Wait, which alone may make system calls.
func (e *engine) Submit(op *proactor.Op) {
	op.Begin()
	e.stats.Submitted++
	op.Engine.Slot = e.slots.take(op)
	op.Engine.Flag = 0
	e.issue(op)
}

// issue puts op into the submission queue, or on the list of waiting operations. It
// uses the list also while buffers are scarce, so that the queue is free for
// issueFirst.
func (e *engine) issue(op *proactor.Op) {
	if e.waiting.empty() && !e.scarce {
		e.issueFirst(op)
		return
	}
	op.Engine.Flag |= flagWaiting
	e.waiting.push(op)
}

// issueFirst puts op ahead of those that wait, as far as the queue has room.
func (e *engine) issueFirst(op *proactor.Op) {
	if e.hasRoom(op) {
		e.prepare(op)
		return
	}
	op.Engine.Flag |= flagWaiting
	e.waiting.push(op)
}

// Cancel asks the kernel to end op if the kernel has it.
func (e *engine) Cancel(op *proactor.Op) {
	if !op.BeginCancel() {
		return
	}
	e.ending++
	switch {
	case op.Engine.Flag&flagCancelledEarly != 0:
	case op.Engine.Flag&(flagWaiting|flagStarved|flagResting) != 0:
		e.unlisted++ // sweep takes it off its list
	case e.slots.all[op.Engine.Slot].silent: // ends by itself in the enter that takes it
	default:
		e.cancel(op)
	}
}

// cancel asks the kernel to end the request of op.
func (e *engine) cancel(op *proactor.Op) {
	target := e.slots.userData(op.Engine.Slot)
	if len(e.cancels) > 0 || !e.prepareCancel(target) {
		e.cancels = append(e.cancels, target)
	}
}

// Wake makes the current or the next Wait return.
func (e *engine) Wake() { e.waker.Wake() }

// Now returns the time of the machine's monotonic clock.
func (e *engine) Now() time.Duration { return e.machine.Now() }

// Watch makes o observe time and the lack of buffers.
func (e *engine) Watch(o proactor.Observer) { e.observer = o }

// RingFD returns the ring's descriptor.
func (e *engine) RingFD() int { return e.ring.FD() }

// Halt cancels what is in flight, and waits until the kernel has released it.
func (e *engine) Halt() { e.ring.Quiet() }

// Close cancels what is in flight and, on the ring's thread, waits until the kernel
// has released it, so that neither buffers nor ports are still in use. If the
// kernel does not release it in time, all memory that it may use stays as it is and
// reachable, until the process ends.
func (e *engine) Close() error {
	if e.closed {
		return nil
	}
	e.closed = true
	quiet := !e.started || e.ring.Quiet()
	e.dropAccepted()
	e.waker.Close()
	err := e.ring.Close() // and the pools with it
	if !quiet {
		abandoned.Lock()
		defer abandoned.Unlock()
		abandoned.engines = append(abandoned.engines, e)
		return err
	}
	e.memory.unmap(e.machine.Munmap)
	return err
}

// abandoned keeps reachable, through its slots, what the kernel may still use.
var abandoned struct {
	sync.Mutex
	engines []*engine
}

// dropAccepted closes the connections that were accepted and not delivered: nothing
// else knows about them.
func (e *engine) dropAccepted() {
	left := append(e.later, e.arrived...)
	for {
		for cqe := range e.ring.CQEs() {
			left = append(left, cqe)
		}
		if !e.ring.Overflowed() || e.ring.Wait(0, 0) != nil {
			break
		}
	}
	for _, cqe := range left {
		s := e.slots.find(cqe.UserData)
		if s != nil && cqe.UserData>>56 == kindOp && s.op.Code == proactor.Accept && cqe.Res >= 0 {
			_ = e.CloseFD(int(cqe.Res)) // there is nobody to report an error to
		}
	}
	e.later, e.arrived = nil, nil
}

// Stats returns the counters.
func (e *engine) Stats() proactor.Stats {
	s := e.stats
	s.Syscalls = e.ring.Stats().Enters + e.machine.KernelCalls()
	s.Overflows = e.overflown + uint64(e.ring.Overflow()-e.lost)
	s.Wakes = e.waker.Writes()
	s.BuffersInUse = e.pool.circulating + e.pool.kept + e.datagrams.circulating
	return s
}
