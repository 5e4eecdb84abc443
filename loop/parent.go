package loop

import (
	"context"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/sluice-net/sluice/loop/internal/child"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// parent is the loop as its children see it.
type parent struct{ *Loop }

var _ child.Host = parent{}

// ConnectReadPipeFunc implements child.Host.
func (h parent) ConnectReadPipeFunc(p protocol.Protocol, f *os.File,
	done func(transport.ReadTransport, error)) {
	h.Loop.ConnectReadPipeFunc(context.Background(), p, f, done)
}

// ConnectWritePipeFunc implements child.Host.
func (h parent) ConnectWritePipeFunc(p protocol.Protocol, f *os.File,
	done func(transport.WriteTransport, error)) {
	h.Loop.ConnectWritePipeFunc(context.Background(), p, f, done)
}

// birth is a child that is being started, on a goroutine of its own but where it is
// simulated.
//
//	starting --started--> posted --the loop's turn--> delivered
//	starting | posted --the loop is closed--> abandoned: it is killed and reaped
type birth struct {
	mu        sync.Mutex
	process   child.Process // once it was started
	abandoned bool
}

// StartProcess implements child.Host. An engine that has children of its own
// starts those.
func (h parent) StartProcess(c *child.Command, done func(child.Process, error)) {
	if s, ok := h.engine.(proactor.Spawner); ok {
		p, err := spawn(h.engine, s, c)
		h.CallSoon(h.birth(p).deliver(h.Loop, err, done))
		return
	}
	b := h.birth(nil)
	go func() {
		p, err := c.Start()
		if b.keep(p) {
			h.CallSoonThreadsafe(b.deliver(h.Loop, err, done))
		}
	}()
}

// birth notes one that begins.
func (l *Loop) birth(p child.Process) *birth {
	b := &birth{process: p}
	l.births = append(l.births, b)
	return b
}

// deliver returns what the loop does in its turn.
func (b *birth) deliver(l *Loop, err error, done func(child.Process, error)) func() {
	return func() {
		l.forgetBirth(b)
		done(b.process, err)
	}
}

// keep takes a new process, or ends it where nobody wants it any more.
func (b *birth) keep(p child.Process) (wanted bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.abandoned && p != nil {
		discard(p)
	}
	b.process = p
	return !b.abandoned
}

// abandon ends the process, now or when it is there.
func (b *birth) abandon() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.abandoned = true
	if b.process != nil {
		discard(b.process)
	}
}

// discard ends a process that never came to the loop.
func discard(p child.Process) {
	p.ClosePipes()
	killAndReap(p)
	switch fd, simulated := p.PidFD(), simulatedOf(p); {
	case simulated != nil:
		_ = simulated.engine.CloseFD(fd) // nobody is left to be told
	case fd >= 0:
		syscall.Close(fd)
	}
}

// killAndReap ends p and returns when it is no zombie any more.
func killAndReap(p child.Process) {
	_ = p.Signal(syscall.SIGKILL) // it may have exited by itself
	_, _ = p.Wait()               // whatever its code, nobody asks for it
}

func (l *Loop) forgetBirth(gone *birth) {
	for i, b := range l.births {
		if b == gone {
			l.births = append(l.births[:i:i], l.births[i+1:]...)
			return
		}
	}
}

// exitWatch waits for the exit of a child.
//
//	watching --exited--> told
//	watching --stop--> stopped: it is killed, and reaped by a goroutine
type exitWatch struct {
	loop    *Loop
	process child.Process
	op      proactor.Op
	exited  func() // nil once it was called or must not be any more
}

// rewatchPause is how long a child is left alone whose exit could not be waited for.
const rewatchPause = 10 * time.Millisecond

// WatchExit implements child.Host. Without a pidfd (before Linux 5.4, or in a
// sandbox that forbids it) a goroutine waits.
func (h parent) WatchExit(p child.Process, exited func()) (stop func()) {
	w := &exitWatch{loop: h.Loop, process: p, exited: exited}
	h.exits = append(h.exits, w)
	if p.PidFD() < 0 {
		go func() {
			_, _ = p.Wait() // it is asked again for its result
			h.CallSoonThreadsafe(w.finish)
		}()
		return w.stop
	}
	w.op.Code, w.op.FD, w.op.Handler = proactor.Waitid, p.PidFD(), w
	h.engine.Submit(&w.op)
	return w.stop
}

// Complete implements proactor.Handler.
func (w *exitWatch) Complete(op *proactor.Op) {
	if op.Res < 0 && w.exited != nil {
		w.loop.CallLater(rewatchPause, w.again)
		return
	}
	w.finish()
}

func (w *exitWatch) again() {
	if w.exited == nil {
		w.finish()
		return
	}
	w.loop.engine.Submit(&w.op)
}

// finish tells of the exit, if anybody still wants to know, and closes the pidfd.
func (w *exitWatch) finish() {
	if f := w.exited; f != nil {
		w.exited = nil
		f()
	}
	w.loop.forgetExit(w)
	if fd := w.process.PidFD(); fd >= 0 {
		w.loop.drop(fd)
	}
}

// stop ends the watch and the child.
func (w *exitWatch) stop() {
	if w.exited == nil {
		return
	}
	w.exited = nil
	w.end()
	w.loop.engine.Cancel(&w.op)
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

func (l *Loop) forgetExit(gone *exitWatch) {
	for i, w := range l.exits {
		if w == gone {
			l.exits = append(l.exits[:i:i], l.exits[i+1:]...)
			break
		}
	}
	l.checkDrained()
}

// Enter implements child.Host.
func (h parent) Enter(callback string, p transport.BaseProtocol) (leave func()) {
	if !h.debug.Load() {
		return func() {}
	}
	watcher := (*host)(h.Loop)
	watcher.Enter(callback, p)
	return watcher.Leave
}

// Report implements child.Host.
func (h parent) Report(message string, err error, t transport.BaseTransport,
	p transport.BaseProtocol) {
	h.report(Exception{Message: message, Err: err, Transport: t, Protocol: p})
}

// closeChildren has Shutdown end them: those that run, and those being started.
func (l *Loop) closeChildren() {
	for _, c := range append([]*child.Child(nil), l.children...) {
		c.Cancel(ErrLoopClosed)
		c.Close()
	}
}

// failChildren gives them up.
func (l *Loop) failChildren() {
	for _, c := range append([]*child.Child(nil), l.children...) {
		c.Fail(ErrLoopClosed)
	}
}

// orphan kills, when the loop is freed, the children that it leaves. The engine has
// let go of their pidfds, which are returned.
func (l *Loop) orphan() (fds []int) {
	for _, b := range l.births {
		b.abandon()
	}
	for _, w := range l.exits {
		if fd := w.process.PidFD(); fd >= 0 {
			fds = append(fds, fd)
		}
		if w.exited != nil {
			w.end()
		}
	}
	l.births, l.exits, l.children = nil, nil, nil
	return fds
}

// simulated is a child of an engine that has its own.
type simulated struct {
	engine  proactor.Proactor
	spawner proactor.Spawner
	proactor.Spawned
	code   int
	reaped bool
}

// spawn starts a simulated child.
func spawn(e proactor.Proactor, s proactor.Spawner, c *child.Command) (
	child.Process, error) {
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

// simulatedOf returns a process that is simulated, nil for others.
func simulatedOf(p child.Process) *simulated {
	s, _ := p.(*simulated)
	return s
}

// Pid implements child.Process.
func (p *simulated) Pid() int { return p.Spawned.PID }

// PidFD implements child.Process.
func (p *simulated) PidFD() int { return p.Spawned.FD }

// TakePipe implements child.Process.
func (p *simulated) TakePipe(fd int) *os.File {
	f := p.Pipes[fd]
	p.Pipes[fd] = nil
	return f
}

// ClosePipes implements child.Process. Only the engine knows what the files
// stand for.
func (p *simulated) ClosePipes() {
	for fd := range p.Pipes {
		if f := p.TakePipe(fd); f != nil {
			if pipe, err := p.engine.AdoptPipe(f, fd == 0); err == nil {
				_ = p.engine.CloseFD(pipe.FD) // nobody is left to be told
			}
		}
	}
}

// Signal implements child.Process.
func (p *simulated) Signal(sig syscall.Signal) error {
	if p.reaped {
		return os.ErrProcessDone
	}
	return p.spawner.SignalChild(p.Spawned.FD, sig)
}

// Wait implements child.Process.
func (p *simulated) Wait() (int, error) {
	if !p.reaped {
		p.reaped = true
		p.code = p.spawner.ReapChild(p.Spawned.FD)
	}
	return p.code, nil
}

// State implements child.Process.
func (p *simulated) State() *os.ProcessState { return nil }
