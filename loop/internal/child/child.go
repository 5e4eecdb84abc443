package child

import (
	"fmt"
	"os"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/guard"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/subprocess"
	"github.com/sluice-net/sluice/transport"
)

// state is the state of a child.
//
//	starting --started--> running --exited--> exited --all pipes lost--> lost
//	starting --failed---> lost
//	                      running --Fail----> exited (abandoned)
type state uint8

const (
	starting state = iota
	running
	exited
	lost
)

var stateNames = [...]string{"starting", "running", "exited", "lost"}

// Child is a child process on a loop: a transport.SubprocessTransport. All its
// methods except Exited must be called on the loop's goroutine.
type Child struct {
	guard guard.Guard
	loop  Host
	cmd   Command
	proto protocol.SubprocessProtocol
	done  func(transport.SubprocessTransport, error) // nil once called
	over  func()

	state   state
	closing bool
	err     error // of ConnectionLost, or of the start
	process Process
	stop    func() // stops waiting for the exit
	code    int
	pipes   [3]*pipe
	open    int // pipes that are not lost
	exited  chan struct{}
}

var _ transport.SubprocessTransport = (*Child)(nil)

// Spawn starts a child. done is called once, after ConnectionMade, or with the
// reason why there is no child. over is called when nothing is left of the child,
// after ConnectionLost. Spawn is for package loop, on the loop's goroutine;
// everybody else uses Start.
func Spawn(l Host, p protocol.SubprocessProtocol, c Command,
	done func(transport.SubprocessTransport, error), over func()) *Child {
	child := &Child{loop: l, cmd: c, proto: p, done: done, over: over,
		exited: make(chan struct{})}
	child.guard.Init(l, child)
	child.guard.Set(p)
	if err := c.Check(); err != nil {
		child.fail(err)
		return child
	}
	l.StartProcess(&child.cmd, child.started)
	return child
}

// started takes over the process and connects its pipes.
func (c *Child) started(p Process, err error) {
	if err != nil {
		c.fail(err)
		return
	}
	c.state, c.process = running, p
	c.stop = c.loop.WatchExit(p, c.hasExited)
	for fd := range c.pipes {
		if c.err != nil {
			break
		}
		if f := p.TakePipe(fd); f != nil {
			c.connect(fd, f)
		}
	}
	p.ClosePipes()
	if c.err != nil { // cancelled, or no pipe: done is called once it is reaped
		c.closeAll()
		return
	}
	c.begin()
}

// begin calls ConnectionMade. If that panics, the panic is the result of the start; the
// child is killed, and the protocol is told when it ends.
func (c *Child) begin() {
	done := c.done
	c.done = nil // from now on the protocol is told
	if err := c.connectionMade(); err != nil {
		c.err = err
		done(nil, err)
		c.closeAll()
		return
	}
	c.done = done
	if c.err == nil {
		c.answer(c, nil)
	}
}

// connect creates the transport of one pipe.
func (c *Child) connect(fd int, f *os.File) {
	p := &pipe{child: c, fd: fd}
	connected := func(t transport.BaseTransport, err error) {
		if err != nil {
			c.err = err
			return
		}
		p.transport = t
		c.pipes[fd] = p
		c.open++
	}
	if fd == 0 {
		c.loop.ConnectWritePipeFunc(p, f, func(t transport.WriteTransport, err error) {
			connected(t, err)
		})
		return
	}
	c.loop.ConnectReadPipeFunc(p, f, func(t transport.ReadTransport, err error) {
		connected(t, err)
	})
}

// fail ends a child that never ran.
func (c *Child) fail(err error) {
	c.state, c.closing, c.err = lost, true, err
	c.answer(nil, err)
	c.finish()
}

// answer calls done, once.
func (c *Child) answer(t transport.SubprocessTransport, err error) {
	if done := c.done; done != nil {
		c.done = nil
		done(t, err)
	}
}

// Cancel abandons the start: the child is killed and reaped, and done is then
// called with err. It does nothing once done has been called.
func (c *Child) Cancel(err error) {
	if c.done == nil || c.err != nil {
		return
	}
	c.err = err
	if c.state == running {
		c.closeAll()
	}
}

// Close implements transport.BaseTransport: it closes the pipes and kills the child
// if it is still running. Output to the child's standard input that it can no
// longer read is lost.
func (c *Child) Close() error {
	if !c.closing && c.state != starting {
		c.closeAll()
	}
	return nil
}

func (c *Child) closeAll() {
	c.closing = true
	for _, p := range c.pipes {
		if p != nil {
			p.transport.Close()
		}
	}
	switch c.state {
	case running:
		_ = c.process.Signal(syscall.SIGKILL) // it may have just exited
	case exited:
		c.dropInput()
	}
}

// Fail ends the child without waiting for it: it is killed, and reaped elsewhere.
// ConnectionLost(err) follows as soon as the pipes are lost, which is up to the
// loop.
func (c *Child) Fail(err error) {
	if c.state == starting {
		c.Cancel(err)
		return
	}
	if c.err == nil {
		c.err = err
	}
	c.closing = true
	if c.state == running {
		c.state, c.code = exited, codeUnknown
		close(c.exited)
		c.stop()
	}
	c.checkOver()
}

// hasExited is called by the loop when the process has exited.
func (c *Child) hasExited() {
	if c.state != running {
		return
	}
	code, err := c.process.Wait()
	c.state, c.code = exited, code
	close(c.exited)
	if err != nil {
		c.guard.Report("Error waiting for a child", err)
	}
	if c.closing {
		c.dropInput()
	}
	if c.done == nil {
		c.processExited()
	}
	c.checkOver()
}

// dropInput drops what a child that has exited will not read; otherwise a
// grandchild that holds the pipe could keep a closing transport open forever.
func (c *Child) dropInput() {
	if p := c.pipes[0]; p != nil && !p.lost {
		p.drop()
	}
}

// checkOver ends a child that has exited and whose pipes are lost.
func (c *Child) checkOver() {
	if c.state != exited || c.open > 0 {
		return
	}
	c.state, c.closing = lost, true
	if c.done != nil {
		c.answer(nil, c.err)
	} else {
		c.guard.ConnectionLost(c.err)
	}
	c.finish()
}

func (c *Child) finish() {
	c.proto = nil
	c.guard.Forget()
	c.over()
}

// IsClosing implements transport.BaseTransport: true after Close and once the child
// is gone.
func (c *Child) IsClosing() bool { return c.closing }

// Protocol implements transport.BaseTransport.
func (c *Child) Protocol() transport.BaseProtocol { return c.guard.Protocol() }

// SetProtocol implements transport.BaseTransport.
func (c *Child) SetProtocol(p transport.BaseProtocol) error {
	if p == nil {
		return transport.ErrNilProtocol
	}
	proto, ok := p.(protocol.SubprocessProtocol)
	switch {
	case !ok:
		return transport.ErrProtocolKind
	case c.state == lost:
		return transport.ErrClosed
	}
	c.proto = proto
	c.guard.Set(proto)
	return nil
}

// ExtraInfo implements transport.BaseTransport. "subprocess" is the
// *os.ProcessState of a child that has exited: its status and its resource usage.
func (c *Child) ExtraInfo(name string) any {
	if name == "subprocess" && c.process != nil && c.state >= exited {
		if s := c.process.State(); s != nil {
			return s
		}
	}
	return nil
}

// Pid implements transport.SubprocessTransport.
func (c *Child) Pid() int { return c.process.Pid() }

// PipeTransport implements transport.SubprocessTransport.
func (c *Child) PipeTransport(fd int) transport.BaseTransport {
	if fd < 0 || fd >= len(c.pipes) || c.pipes[fd] == nil {
		return nil
	}
	return c.pipes[fd].transport
}

// ReturnCode implements transport.SubprocessTransport.
func (c *Child) ReturnCode() (code int, exited bool) {
	select {
	case <-c.exited:
		return c.code, true
	default:
		return 0, false
	}
}

// SendSignal implements transport.SubprocessTransport. A child that has exited, but
// for which ProcessExited has not been called yet, is not an error.
func (c *Child) SendSignal(sig os.Signal) error {
	s, ok := sig.(syscall.Signal)
	if !ok || s < 0 || s > signalMax {
		return fmt.Errorf("%w: %v: %w", subprocess.ErrSignal, sig, syscall.EINVAL)
	}
	if c.state != running {
		return os.ErrProcessDone
	}
	err := c.process.Signal(s)
	if err == os.ErrProcessDone {
		return nil
	}
	return err
}

// signalMax is the highest real-time signal of Linux (signal(7)).
const signalMax = 64

// Terminate implements transport.SubprocessTransport.
func (c *Child) Terminate() error { return c.SendSignal(syscall.SIGTERM) }

// Kill implements transport.SubprocessTransport.
func (c *Child) Kill() error { return c.SendSignal(syscall.SIGKILL) }

// Exited returns a channel that is closed when the child has exited and its return
// code is known, just before ProcessExited. It may be called on any goroutine.
func (c *Child) Exited() <-chan struct{} { return c.exited }

// String describes the child as asyncio's repr does.
func (c *Child) String() string {
	s := "<Child " + stateNames[c.state]
	if c.process != nil {
		s += fmt.Sprintf(" pid=%d", c.process.Pid())
	}
	if code, ok := c.ReturnCode(); ok {
		s += fmt.Sprintf(" returncode=%d", code)
	}
	return s + ">"
}
