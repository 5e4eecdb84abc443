// Package epoll is the engine on level-triggered epoll, for kernels and
// containers without io_uring. It needs Linux 4.5.
//
// An operation that writes is tried at once in Wait; an operation that reads waits
// for its descriptor to become readable, because until then there is usually
// nothing to read. What the kernel watches is changed lazily: a descriptor whose
// operation has ended stays watched until an event finds no operation to take it,
// so that an owner who submits again at once costs no system call.
package epoll

import (
	"os"
	"syscall"
	"time"

	"github.com/sluice-net/sluice/loop/internal/arena"
	"github.com/sluice-net/sluice/loop/internal/debug"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/procs"
	"github.com/sluice-net/sluice/loop/internal/sys"
	"golang.org/x/sys/unix"
)

const eventsMax = 256 // events of one Wait

// Where an operation in flight is: in Op.Engine.Flag.
const (
	nowhere   uint16 = iota
	queued           // on the list for the next pass
	reading          // its slot's reader
	writing          // its slot's writer
	pollFirst        // its slot's polls[0]; the others follow
)

type engine struct {
	proactor.Kernel // the machine's

	machine  Machine
	cfg      proactor.Config
	waker    sys.Waker
	table    table
	head     *proactor.Op // submitted or cancelled and not processed yet, in order
	tail     *proactor.Op
	memory   *arena.Arena
	pool     *arena.Pool
	kept     int               // buffers of the pool that their receivers keep
	batch    *batch            // for RecvMsg; nil until there is one
	observer proactor.Observer // nil: nobody watches
	stats    proactor.Stats
	eager    uint64 // completions that an owner waits for

	thread  int // the thread that called Start; checked builds only
	yielder procs.Yielder
	closed  bool

	peer   sys.Sockaddr
	msg    unix.Msghdr
	iov    [proactor.IOVMax]unix.Iovec
	events [eventsMax]unix.EpollEvent
}

// New creates an engine. Errors are *os.SyscallError.
func New(cfg proactor.Config) (proactor.Proactor, error) { return NewOn(&linux{}, cfg) }

// NewOn creates an engine on a machine of its own.
func NewOn(m Machine, cfg proactor.Config) (proactor.Proactor, error) {
	e := &engine{Kernel: m, machine: m, cfg: cfg.WithDefaults()}
	if err := m.OpenEpoll(); err != nil {
		return nil, err
	}
	fd, signal, err := m.Eventfd()
	if err != nil {
		m.CloseEpoll()
		return nil, err
	}
	e.waker.OpenOn(fd, signal, m.CloseEventfd)
	if errno := m.Control(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN, 0); errno != 0 {
		e.waker.Close()
		m.CloseEpoll()
		return nil, os.NewSyscallError("epoll_ctl", errno)
	}
	e.memory = arena.New(m.Mmap)
	e.memory.Fallback = func(err error) {
		if e.cfg.Fallback != nil {
			e.cfg.Fallback("mapped memory", err)
		}
	}
	e.pool = arena.NewPool(e.memory, e.cfg.BufferSize, e.cfg.BuffersMax)
	return e, nil
}

// Start binds the engine to the calling thread.
func (e *engine) Start() error {
	if e.closed {
		return proactor.ErrClosed
	}
	if debug.On {
		e.thread = sys.ThreadID()
	}
	e.yielder.Start(e.machine.Now())
	return nil
}

// Submit puts op on the list for the next pass.
func (e *engine) Submit(op *proactor.Op) {
	op.Begin()
	e.stats.Submitted++
	e.enqueue(op)
}

// Cancel takes op off its descriptor, so that nothing more happens to it, and puts
// it on the list for its last completion.
func (e *engine) Cancel(op *proactor.Op) {
	if !op.BeginCancel() {
		return
	}
	if op.Engine.Flag == queued {
		return
	}
	e.detach(op)
	e.enqueue(op)
}

// Wait makes one turn: first what was submitted, then the events, then what their
// handlers submitted, so that an answer is on its way before the loop sleeps.
func (e *engine) Wait(timeout time.Duration) error {
	if e.closed {
		return proactor.ErrClosed
	}
	if debug.On {
		debug.Assert(e.thread == sys.ThreadID(), "Wait on the thread of Start")
	}
	e.beginRound()
	before := e.eager
	e.pass()
	if e.head != nil || e.eager != before {
		timeout = 0
	}
	n, err := e.wait(timeout)
	if err != nil {
		return err
	}
	for i := range n {
		e.event(&e.events[i])
	}
	e.pass()
	return nil
}

// Wake makes the current or the next Wait return.
func (e *engine) Wake() { e.waker.Wake() }

// Watch makes o observe time. Buffers are never lacking.
func (e *engine) Watch(o proactor.Observer) { e.observer = o }

// Now returns the time of the machine's clock.
func (e *engine) Now() time.Duration { return e.machine.Now() }

// Halt forgets what is in flight. The kernel forgets it when the descriptors are
// closed.
func (e *engine) Halt() { e.head, e.tail, e.table = nil, nil, table{} }

// Close frees everything, including the memory from Alloc, which must not be
// touched afterwards.
func (e *engine) Close() error {
	if e.closed {
		return nil
	}
	e.closed = true
	e.waker.Close()
	err := e.machine.CloseEpoll()
	for _, chunk := range e.memory.Chunks() {
		if munmapErr := e.machine.Munmap(chunk); err == nil {
			err = munmapErr
		}
	}
	e.head, e.tail, e.batch, e.memory, e.pool = nil, nil, nil, nil, nil
	e.table = table{}
	return err
}

// Stats returns the counters.
func (e *engine) Stats() proactor.Stats {
	s := e.stats
	s.Syscalls += e.machine.KernelCalls()
	s.Wakes = e.waker.Writes()
	if e.pool != nil {
		s.BuffersInUse = e.pool.Made()
	}
	return s
}

// Alloc returns zeroed memory. To epoll all memory is alike.
func (e *engine) Alloc(n int) []byte { return e.memory.Alloc(n) }

// Free takes back what Alloc returned.
func (e *engine) Free(b []byte) { e.memory.Free(b) }

// CloseFD forgets what is known about fd and closes it. The kernel by itself would
// stop watching only if no duplicate of the descriptor were open.
func (e *engine) CloseFD(fd int) error {
	if s := e.table.find(fd); s != nil {
		if s.reader != nil || s.writer != nil || s.polls[0] != nil || s.polls[1] != nil {
			panic("epoll: closed with operations in flight")
		}
		e.watch(s, fd, 0)
		*s = slot{gen: s.gen + 1}
	}
	return e.Kernel.CloseFD(fd)
}

// enqueue appends op to the list.
func (e *engine) enqueue(op *proactor.Op) {
	op.Engine.Flag = queued
	op.Engine.Next = nil
	if e.tail == nil {
		e.head = op
	} else {
		e.tail.Engine.Next = op
	}
	e.tail = op
}

// pass carries out what is on the list now. What handlers submit meanwhile waits
// for the next pass, so that no handler can keep a pass from ending.
func (e *engine) pass() {
	op := e.head
	e.head, e.tail = nil, nil
	for op != nil {
		next := op.Engine.Next
		op.Engine.Next = nil
		op.Engine.Flag = nowhere
		e.begin(op)
		op = next
	}
}

// isSend reports whether an operation can be lazy.
func isSend(c proactor.Code) bool { return c == proactor.Send || c == proactor.SendMsg }

// finish delivers the last completion of op.
func (e *engine) finish(op *proactor.Op, res int32) {
	e.stats.Completed++
	if !op.Lazy || res < 0 || op.Cancelling() || !isSend(op.Code) {
		e.eager++
	}
	op.Deliver(res, false, nil)
}

// fail completes op with an errno. If op was cancelled after it had done something,
// it completes with how much that was. An error of the descriptor is reported only
// once, and must not get lost.
func (e *engine) fail(op *proactor.Op, errno syscall.Errno) {
	if op.Engine.Done > 0 && errno == syscall.ECANCELED {
		e.finish(op, int32(op.Engine.Done))
		return
	}
	e.finish(op, -int32(errno))
}

// beginRound tells the scheduler that this goroutine is alive, and the observer
// that a round begins.
func (e *engine) beginRound() {
	now := e.machine.Now()
	if e.observer != nil {
		e.observer.Round(now)
	}
	e.yielder.Yield(now)
}

// wait returns the number of events there are, sleeping for at most timeout until
// there are some. An interruption counts as no events.
func (e *engine) wait(timeout time.Duration) (int, error) {
	if timeout != 0 && !e.waker.Sleep() {
		timeout = 0
	}
	n, errno := 0, syscall.Errno(0)
	e.stats.Syscalls++
	if timeout == 0 {
		n, errno = e.machine.PollNow(e.events[:])
	} else {
		e.stats.Waits++
		if e.observer != nil {
			e.observer.Sleep(e.machine.Now())
		}
		n, errno = e.machine.Sleep(e.events[:], timeout)
		if e.observer != nil {
			e.observer.Woke(e.machine.Now())
		}
	}
	e.waker.Awake()
	if errno != 0 && errno != syscall.EINTR {
		return 0, os.NewSyscallError("epoll_wait", errno)
	}
	return n, nil
}
