package child

import (
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/guard"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/registry"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// Loop is what starting and ending children requires of a loop. All its methods
// except Post must be called on the loop's goroutine.
type Loop interface {
	guard.Watcher

	// Engine is the loop's engine.
	Engine() proactor.Proactor

	// ReadPipe and WritePipe create the transports of a child's pipes; they call
	// done before they return.
	ReadPipe(p protocol.Protocol, f *os.File, done func(transport.ReadTransport, error))
	WritePipe(p protocol.Protocol, f *os.File, done func(transport.WriteTransport, error))

	// Next runs f in the next round; Post does the same from any goroutine.
	Next(f func())
	Post(f func())

	// After runs f once d has passed, unless the timer is stopped first.
	After(d time.Duration, f func()) fdio.Timer

	// Opened and Closed add and remove a resource that must be ended with the loop.
	Opened(r registry.Resource)
	Closed(r registry.Resource)

	// Drop closes a descriptor.
	Drop(fd int)
}

// Parent is a loop as its children see it.
type Parent struct{ Loop }

var (
	_ Host              = Parent{}
	_ registry.Resource = (*pendingStart)(nil)
	_ registry.Resource = (*exitWatch)(nil)
)

// ConnectReadPipeFunc implements Host.
func (h Parent) ConnectReadPipeFunc(p protocol.Protocol, f *os.File,
	done func(transport.ReadTransport, error)) {
	h.Loop.ReadPipe(p, f, done)
}

// ConnectWritePipeFunc implements Host.
func (h Parent) ConnectWritePipeFunc(p protocol.Protocol, f *os.File,
	done func(transport.WriteTransport, error)) {
	h.Loop.WritePipe(p, f, done)
}

// pendingStart is a child that is being started, on a goroutine of its own unless
// it is simulated.
//
//	starting --started--> posted --the loop's turn--> delivered
//	starting | posted --the loop is closed--> abandoned: it is killed and reaped
type pendingStart struct {
	mu        sync.Mutex
	process   Process // once it has been started
	abandoned bool
}

// StartProcess implements Host. An engine that has children of its own starts one
// of those.
func (h Parent) StartProcess(c *Command, done func(Process, error)) {
	engine := h.Loop.Engine()
	if s, ok := engine.(proactor.Spawner); ok {
		p, err := spawn(engine, s, c)
		h.Loop.Next(h.newStart(p).deliver(h.Loop, err, done))
		return
	}
	b := h.newStart(nil)
	go func() {
		p, err := c.Start()
		if b.keep(p) {
			h.Loop.Post(b.deliver(h.Loop, err, done))
		}
	}()
}

// newStart records a start.
func (h Parent) newStart(p Process) *pendingStart {
	b := &pendingStart{process: p}
	h.Loop.Opened(b)
	return b
}

// deliver returns the function that the loop runs in its turn.
func (b *pendingStart) deliver(l Loop, err error, done func(Process, error)) func() {
	return func() {
		l.Closed(b)
		done(b.process, err)
	}
}

// keep takes over a new process, or ends it if it is no longer wanted.
func (b *pendingStart) keep(p Process) (wanted bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.abandoned && p != nil {
		discard(p)
	}
	b.process = p
	return !b.abandoned
}

// abandon ends the process, now or as soon as it exists.
func (b *pendingStart) abandon() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.abandoned = true
	if b.process != nil {
		discard(b.process)
	}
}

// Close implements registry.Resource: the child is told, which is in the list itself.
func (b *pendingStart) Close() error { return nil }

// Fail implements registry.Resource, as Close.
func (b *pendingStart) Fail(error) {}

// Descriptors implements registry.Resource.
func (b *pendingStart) Descriptors(fds []int) []int { return fds }

// Abandon implements registry.Resource: the process ends, now or as soon as it
// exists.
func (b *pendingStart) Abandon() { b.abandon() }

// Gone implements registry.Resource. The resource is removed when the process is
// delivered.
func (b *pendingStart) Gone() bool { return false }

// discard ends a process that never reached the loop.
func discard(p Process) {
	p.ClosePipes()
	killAndReap(p)
	switch fd, simulated := p.PidFD(), simulatedOf(p); {
	case simulated != nil:
		_ = simulated.engine.CloseFD(fd) // there is nobody to report an error to
	case fd >= 0:
		syscall.Close(fd)
	}
}

// killAndReap ends p, and returns when it has been reaped.
func killAndReap(p Process) {
	_ = p.Signal(syscall.SIGKILL) // it may have exited by itself
	_, _ = p.Wait()               // nobody asks for its code
}

// exitWatch waits for the exit of a child.
//
//	watching --exited--> told
//	watching --stop--> stopped: it is killed, and reaped by a goroutine
type exitWatch struct {
	loop    Loop
	process Process
	op      proactor.Op
	exited  func() // nil once it has been called or must no longer be called
	gone    bool
}

// rewatchPause is how long to wait before trying again to wait for a child's exit.
const rewatchPause = 10 * time.Millisecond

// WatchExit implements Host. Without a pidfd (before Linux 5.4, or in a sandbox
// that forbids it) a goroutine waits.
func (h Parent) WatchExit(p Process, exited func()) (stop func()) {
	w := &exitWatch{loop: h.Loop, process: p, exited: exited}
	h.Loop.Opened(w)
	if p.PidFD() < 0 {
		go func() {
			_, _ = p.Wait() // it is called again for the result
			h.Loop.Post(w.finish)
		}()
		return w.stop
	}
	w.op.Code, w.op.FD, w.op.Handler = proactor.Waitid, p.PidFD(), w
	h.Loop.Engine().Submit(&w.op)
	return w.stop
}

// Complete implements proactor.Handler.
func (w *exitWatch) Complete(op *proactor.Op) {
	if op.Res < 0 && w.exited != nil {
		w.loop.After(rewatchPause, w.again)
		return
	}
	w.finish()
}

func (w *exitWatch) again() {
	if w.exited == nil {
		w.finish()
		return
	}
	w.loop.Engine().Submit(&w.op)
}

// finish reports the exit, if that is still wanted, and closes the pidfd.
func (w *exitWatch) finish() {
	if f := w.exited; f != nil {
		w.exited = nil
		f()
	}
	w.gone = true
	w.loop.Closed(w)
	if fd := w.process.PidFD(); fd >= 0 {
		w.loop.Drop(fd)
	}
}

// stop ends the watch and the child.
func (w *exitWatch) stop() {
	if w.exited == nil {
		return
	}
	w.exited = nil
	w.end()
	w.loop.Engine().Cancel(&w.op)
}

// end kills and reaps the child. One that hangs in the kernel must not hang the
// loop, so a goroutine waits; a simulated child does not hang.
func (w *exitWatch) end() {
	if simulatedOf(w.process) != nil {
		killAndReap(w.process)
		return
	}
	go killAndReap(w.process)
}

// Close implements registry.Resource: the child is told, which is in the list itself.
func (w *exitWatch) Close() error { return nil }

// Fail implements registry.Resource, as Close.
func (w *exitWatch) Fail(error) {}

// Descriptors implements registry.Resource.
func (w *exitWatch) Descriptors(fds []int) []int {
	if fd := w.process.PidFD(); fd >= 0 {
		fds = append(fds, fd)
	}
	return fds
}

// Abandon implements registry.Resource: a child does not outlive its loop.
func (w *exitWatch) Abandon() {
	if w.exited != nil {
		w.end()
	}
}

// Gone implements registry.Resource.
func (w *exitWatch) Gone() bool { return w.gone }

// simulated is a child of an engine that has children of its own.
type simulated struct {
	engine  proactor.Proactor
	spawner proactor.Spawner
	proactor.Spawned
	code   int
	reaped bool
}

// spawn starts a simulated child.
func spawn(e proactor.Proactor, s proactor.Spawner, c *Command) (
	Process, error) {
	var pipes [3]bool
	for fd := range pipes {
		pipes[fd] = c.IsPipe(fd)
	}
	spawned, err := s.Spawn(c.Args, pipes, c.Merged())
	if err != nil {
		return nil, err
	}
	return &simulated{engine: e, spawner: s, Spawned: spawned}, nil
}

// simulatedOf returns p if it is simulated, and nil otherwise.
func simulatedOf(p Process) *simulated {
	s, _ := p.(*simulated)
	return s
}

// Pid implements Process.
func (p *simulated) Pid() int { return p.Spawned.PID }

// PidFD implements Process.
func (p *simulated) PidFD() int { return p.Spawned.FD }

// TakePipe implements Process.
func (p *simulated) TakePipe(fd int) *os.File {
	f := p.Pipes[fd]
	p.Pipes[fd] = nil
	return f
}

// ClosePipes implements Process. Only the engine knows what the files stand for.
func (p *simulated) ClosePipes() {
	for fd := range p.Pipes {
		if f := p.TakePipe(fd); f != nil {
			if pipe, err := p.engine.AdoptPipe(f, fd == 0); err == nil {
				_ = p.engine.CloseFD(pipe.FD) // there is nobody to report an error to
			}
		}
	}
}

// Signal implements Process.
func (p *simulated) Signal(sig syscall.Signal) error {
	if p.reaped {
		return os.ErrProcessDone
	}
	return p.spawner.SignalChild(p.Spawned.FD, sig)
}

// Wait implements Process.
func (p *simulated) Wait() (int, error) {
	if !p.reaped {
		p.reaped = true
		p.code = p.spawner.ReapChild(p.Spawned.FD)
	}
	return p.code, nil
}

// State implements Process.
func (p *simulated) State() *os.ProcessState { return nil }
