package loop

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/filecopy"
	"github.com/sluice-net/sluice/loop/internal/hook"
	"github.com/sluice-net/sluice/loop/internal/page"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/procs"
	"github.com/sluice-net/sluice/loop/internal/registry"
	"github.com/sluice-net/sluice/loop/internal/sys"
	"github.com/sluice-net/sluice/loop/internal/watchdog"
)

// A phase is a stage in the life of a loop.
//
//	idle --run--> running --Stop | done--> idle --Close--> closed
//	              running --engine failed | Goexit-------> closed
type phase uint8

const (
	idle phase = iota
	running
	closed
)

// Loop is an event loop. See the package comment for where its methods may be called.
type Loop struct {
	// SlowCallbackDuration is how long a callback may run before debug mode reports it;
	// the default is 100 ms. It is for the loop's goroutine.
	SlowCallbackDuration time.Duration

	opts   Options
	engine proactor.Proactor
	kind   Engine
	why    string

	handler  atomic.Pointer[func(Exception)]
	debug    atomic.Bool
	stopping atomic.Bool  // Stop was called
	ending   atomic.Bool  // Shutdown is about to close the loop
	thread   atomic.Int64 // the loop's thread, 0 before the first run

	mu      sync.Mutex // guards what follows
	phase   phase
	current *runRequest // runs the loop, or was the last one to run it
	posts   []fdio.Task
	starts  chan *runRequest // to the loop's goroutine, made by the first run
	settled chan struct{}    // closed when the phase leaves running
	dead    chan struct{}    // closed when the phase becomes closed
	ended   chan struct{}    // closed when the loop's goroutine has ended
	stats   Stats            // as of the last publishStats

	late sync.Mutex // guards what was the goroutine's own, once it has ended

	attached hook.Attached // the state of package stream, or nil
	procs    procs.Loop    // guards itself

	// What follows belongs to the loop's goroutine.

	ready, spare []fdio.Task // and emptied, which is posts when it is next taken
	emptied      []fdio.Task
	timers       timers
	dirty        []fdio.Flusher
	chunks       fdio.ChunkPool
	pipes        fdio.PipePool
	page         *page.Page     // nil: nothing is published
	retried      []*proactor.Op // receives that lacked a buffer, for the page
	open         registry.List  // what is open
	copies       filecopy.Copies
	signals      signalTable
	watchers     map[watchKey]*watcher
	watchdog     watchdog.Watchdog
	origins      map[int]*origin // of transports made in debug mode, by descriptor
	draining     bool            // Shutdown was called: nothing new begins
	onDrained    func()          // Shutdown waits
	turns        uint64

	handshakes, handshakesFailed uint64 // of TLS
}

// New makes a loop. It performs no I/O except to make the engine; the first call that
// runs the loop starts the loop's goroutine. nil options mean the zero Options. It may be
// called from any goroutine.
//
// Errors: if an engine that was asked for by name is not available, an error that gives
// the reason and the remedy; ErrBadOption; an error if there is no memory for the flow
// page.
func New(opts *Options) (*Loop, error) {
	o := Options{}
	if opts != nil {
		o = *opts
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	l := prepare(o)
	startNetpoll()
	if err := l.chooseEngine(); err != nil {
		return nil, err
	}
	if err := l.openPage(); err != nil {
		return nil, errors.Join(err, l.engine.Close())
	}
	l.publishStats()
	return l, nil
}

// startNetpoll makes the Go runtime open its own poller, once in a process. Otherwise the
// first timer or the first file of package os opens it, whenever that happens. If no
// descriptor is left by then, the runtime ends the process, and a loop's clients could
// bring that about.
var startNetpoll = sync.OnceFunc(func() { time.AfterFunc(time.Hour, func() {}).Stop() })

// prepare makes a loop without an engine.
func prepare(o Options) *Loop {
	l := &Loop{opts: o, SlowCallbackDuration: 100 * time.Millisecond,
		dead: make(chan struct{}), ended: make(chan struct{})}
	l.watchdog.Host, l.copies.Host = (*host)(l), (*host)(l)
	l.debug.Store(o.Debug || os.Getenv("SLUICE_DEBUG") == "1")
	return l
}

// Engine returns the engine that performs the loop's I/O. It may be called from any
// goroutine.
func (l *Loop) Engine() Engine { return l.kind }

// Why returns a sentence that says why the loop uses its engine and, if that is not the
// better one, what to do about it. It may be called from any goroutine.
func (l *Loop) Why() string { return l.why }

// IsRunning reports whether the loop is running. It may be called from any goroutine.
func (l *Loop) IsRunning() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.phase == running
}

func (l *Loop) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.phase == closed
}

// SetDebug turns the checks of Options.Debug on or off. It may be called from any
// goroutine.
func (l *Loop) SetDebug(on bool) { l.debug.Store(on) }

// Debug reports whether debug mode is on. It may be called from any goroutine.
func (l *Loop) Debug() bool { return l.debug.Load() }

// onLoop reports whether the caller is the loop's goroutine. That goroutine is locked to
// its thread, so it is enough to compare threads.
func (l *Loop) onLoop() bool {
	thread := l.thread.Load()
	return thread != 0 && thread == int64(sys.ThreadID())
}

// check panics in debug mode if it is called on a goroutine other than the loop's while
// the loop is running.
func (l *Loop) check() {
	if l.debug.Load() && !l.onLoop() && l.IsRunning() {
		panic("sluice: non-thread-safe operation on a loop other than the current one; " +
			"use CallSoonThreadsafe")
	}
}

// Close frees the loop. Pending callbacks and timers are dropped and do not run, and open
// transports are closed without ConnectionLost: use Shutdown for an orderly end. It is
// idempotent. It may be called from any goroutine.
//
// Errors: ErrLoopRunning while the loop runs.
func (l *Loop) Close() error {
	l.mu.Lock()
	switch l.phase {
	case running:
		l.mu.Unlock()
		return ErrLoopRunning
	case closed:
		l.mu.Unlock()
		<-l.ended
		return nil
	}
	l.setClosed()
	started := l.starts != nil
	l.mu.Unlock()
	if !started {
		l.free()
		close(l.ended)
		return nil
	}
	close(l.starts)
	<-l.ended
	return nil
}

// setClosed is called with mu held.
func (l *Loop) setClosed() {
	l.phase = closed
	close(l.dead)
	cancelTasks(l.posts)
	l.posts = nil
}

// cancelAll cancels the functions that are scheduled, because none will run.
func (l *Loop) cancelAll() {
	cancelTasks(l.ready)
	l.ready = nil
	for h := l.timers.first(); h != nil; h = l.timers.first() {
		l.timers.remove(h)
		h.Handle.Cancel()
	}
	l.timers = timers{}
}

// cancelTasks cancels those of tasks that are functions.
func cancelTasks(tasks []fdio.Task) {
	for _, t := range tasks {
		if h, ok := t.(*scheduled); ok {
			(*Handle)(h).Cancel()
		}
	}
}

// free closes the engine, then abandons what is still open and closes its descriptors.
// The engine must have released them first.
func (l *Loop) free() {
	l.signals.removeAll()
	l.warnUnclosed()
	l.publishStats() // the engine's counters end with it
	if err := l.engine.Close(); err != nil {
		l.logger().Error("Error closing the engine", "err", err)
	}
	fds := l.open.Descriptors()
	for r := range l.open.All() {
		r.Abandon()
	}
	l.pipes.Close()
	for _, fd := range fds {
		_ = l.engine.CloseFD(fd) // there is no one left to report to
	}
	l.closePage()
	l.cancelAll()
	l.dirty = nil
	l.detach()
	l.noneOpen()
	l.thread.Store(0) // the number may become that of another goroutine's thread
}

// AllocBuffer returns n zeroed bytes, where n > 0, of the memory that is fastest for the
// engine, for use with GetBuffer and WriteOwned. With io_uring the memory is registered
// with the kernel if RLIMIT_MEMLOCK allows it; otherwise it is plain memory, and
// Trace.Fallback is called once. Transports recognise the memory by its address, so
// slices of it work, too. The memory belongs to the loop: do not touch it after Close. It
// is for the loop's goroutine.
func (l *Loop) AllocBuffer(n int) []byte {
	l.check()
	return l.engine.Alloc(n)
}

// FreeBuffer frees a slice that AllocBuffer returned. It panics if b is any other slice
// or only a part of one. No transport may be using b: after ConnectionLost none does. It
// is for the loop's goroutine.
func (l *Loop) FreeBuffer(b []byte) {
	l.check()
	l.engine.Free(b)
}
