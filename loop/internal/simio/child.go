package simio

import (
	"os"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// Child is a simulated child process. Its program drives it: a function that is
// called in some Wait, on its goroutine, and goes on in callbacks of its peers and
// of World.After. Methods are as those of Peer.
type Child struct {
	// Args are what Spawn was given.
	Args []string

	// The child's own ends of the pipes, nil where there are none. Where the error
	// output is the output, they are the same.
	Stdin, Stdout, Stderr *Peer

	w        *World
	f        *file
	pid      int
	code     int
	onSignal func(sig syscall.Signal)
}

// Program has f be the program called name from now on.
func (w *World) Program(name string, f func(c *Child)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.programs[name] = f
}

// firstPID is the number of the first child.
const firstPID = 100

// Spawn implements proactor.Spawner. Errors are ENOENT for a program that there is
// not, and EAGAIN where the fault NoSocket strikes.
func (e *calls) Spawn(args []string, pipes [3]bool, merged bool) (proactor.Spawned, error) {
	e.call()
	defer e.mu.Unlock()
	var s proactor.Spawned
	run := e.programs[args[0]]
	if run == nil {
		return s, &os.PathError{Op: "exec", Path: args[0], Err: syscall.ENOENT}
	}
	if e.net.chance(e.faults.NoSocket) {
		return s, &os.PathError{Op: "fork/exec", Path: args[0], Err: syscall.EAGAIN}
	}
	f := e.newFile(child, proactor.Other)
	f.stage = connected
	e.spawned++
	c := &Child{Args: args, w: e.World, f: f, pid: firstPID + e.spawned}
	f.child = c
	s.PID, s.FD = c.pid, e.mustInstall(f)
	f.record("spawn", int64(c.pid))
	for fd, peer := range [3]**Peer{&c.Stdin, &c.Stdout, &c.Stderr} {
		if !pipes[fd] {
			continue
		}
		theirs, ours := e.newPipe()
		if fd > 0 {
			theirs, ours = ours, theirs
		}
		*peer = e.newPeer(theirs)
		token, err := e.tokenFor(e.mustInstall(ours))
		if err != nil {
			return s, err
		}
		s.Pipes[fd] = token
	}
	if merged {
		c.Stderr = c.Stdout
	}
	e.push(event{at: e.now + e.net.duration(childDelay), script: true, do: func() {
		if !c.Exited() {
			run(c)
		}
	}})
	return s, nil
}

// childDelay bounds how long a child takes until it runs.
const childDelay = 200_000 // nanoseconds

// Exit ends the child with a code; its pipes are closed once they have taken what
// it wrote.
func (c *Child) Exit(code int) {
	for _, p := range [3]*Peer{c.Stdin, c.Stdout, c.Stderr} {
		if p != nil {
			p.Close()
		}
	}
	c.end(code)
}

// Leave ends the child as Exit does, but leaves its pipes to a grandchild, which
// whoever has the peers can play.
func (c *Child) Leave(code int) { c.end(code) }

func (c *Child) end(code int) {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	c.exit(code)
	c.w.settle()
	c.w.rouse()
}

func (c *Child) exit(code int) {
	if c.f.exited {
		return
	}
	c.code, c.f.exited = code, true
	c.f.record("exit", int64(code))
	c.f.touch()
}

// OnSignal has f called for each signal but SIGKILL, as a handler does, on the
// goroutine of some Wait. Without it every signal ends the child.
func (c *Child) OnSignal(f func(sig syscall.Signal)) {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	c.onSignal = f
}

// Exited reports whether the child has ended.
func (c *Child) Exited() bool {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	return c.f.exited
}

// SignalChild implements proactor.Spawner.
func (e *calls) SignalChild(pidfd int, sig syscall.Signal) error {
	e.call()
	defer e.mu.Unlock()
	c := e.must(pidfd, "SignalChild").child
	switch {
	case c.f.exited:
		return os.ErrProcessDone
	case sig == 0:
	case c.onSignal != nil && sig != syscall.SIGKILL:
		f := c.onSignal
		e.push(event{at: e.now, script: true, do: func() {
			if !c.Exited() {
				f(sig)
			}
		}})
	default:
		c.kill(sig)
	}
	c.f.record("signal", int64(sig))
	e.settle()
	return nil
}

// kill ends the child by a signal: what it has not written yet is lost.
func (c *Child) kill(sig syscall.Signal) {
	for _, p := range [3]*Peer{c.Stdin, c.Stdout, c.Stderr} {
		if p != nil {
			p.pending, p.closing = nil, true
			p.f.touch()
		}
	}
	c.exit(-int(sig))
}

// ReapChild implements proactor.Spawner.
func (e *calls) ReapChild(pidfd int) (code int) {
	e.call()
	defer e.mu.Unlock()
	c := e.must(pidfd, "ReapChild").child
	if !c.f.exited {
		c.kill(syscall.SIGKILL)
	}
	c.f.record("reap", int64(c.code))
	e.settle()
	return c.code
}
