package looptest

import (
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sluice-net/sluice/loop/internal/simio"
)

// Child is a simulated child process, as its program sees it. Its methods are for the
// loop's goroutine, on which its callbacks are called.
type Child struct {
	// Args are the arguments given to SubprocessExec.
	Args []string

	// Stdin, Stdout and Stderr are the child's ends of its pipes, nil if there are none.
	// Stderr is Stdout if that was asked for.
	Stdin, Stdout, Stderr *Peer

	c *simio.Child
	w *simio.World
}

// Program makes f the program that SubprocessExec finds under name: f is called on the
// loop's goroutine when a child starts, and the program goes on in callbacks of the
// child's peers, of After and of OnSignal. The programs cat, echo, false, sleep and true
// exist from the start; there is no shell.
func (n *Network) Program(name string, f func(c *Child)) { n.sim.addProgram(name, f) }

func (s *simulation) addProgram(name string, f func(c *Child)) {
	s.Program(name, func(c *simio.Child) {
		child := &Child{Args: c.Args, c: c, w: s.World}
		for i, p := range [3]*simio.Peer{c.Stdin, c.Stdout, c.Stderr} {
			if p != nil {
				*[3]**Peer{&child.Stdin, &child.Stdout, &child.Stderr}[i] = &Peer{p}
			}
		}
		f(child)
	})
}

// Exit ends the child with an exit code. Its pipes are closed once everything sent to
// them has been taken.
func (c *Child) Exit(code int) { c.c.Exit(code) }

// Leave ends the child with an exit code but leaves its pipes open, as if a grandchild
// had inherited them.
func (c *Child) Leave(code int) { c.c.Leave(code) }

// OnSignal makes f the handler of every signal except SIGKILL. Without it, signals end
// the child.
func (c *Child) OnSignal(f func(sig syscall.Signal)) { c.c.OnSignal(f) }

// After calls f after d, unless the child has ended by then.
func (c *Child) After(d time.Duration, f func()) {
	c.w.After(d, func() {
		if !c.c.Exited() {
			f()
		}
	})
}

// addPrograms adds the programs that every simulation has.
func (s *simulation) addPrograms() {
	s.addProgram("true", func(c *Child) { c.Exit(0) })
	s.addProgram("false", func(c *Child) { c.Exit(1) })
	s.addProgram("cat", cat)
	s.addProgram("echo", func(c *Child) {
		if c.Stdout != nil {
			c.Stdout.Send([]byte(strings.Join(c.Args[1:], " ") + "\n"))
		}
		c.Exit(0)
	})
	s.addProgram("sleep", func(c *Child) {
		text := strings.Join(c.Args[1:], "")
		if text == "infinity" {
			return // until a signal ends it
		}
		seconds, err := strconv.ParseFloat(text, 64)
		if err != nil {
			c.Exit(1)
			return
		}
		c.After(time.Duration(seconds*float64(time.Second)), func() { c.Exit(0) })
	})
}

// catAhead is how many bytes cat reads ahead of writing them, about the size of a pipe.
const catAhead = 64 << 10

// cat copies its input to its output.
func cat(c *Child) {
	if c.Stdin == nil {
		c.Exit(0)
		return
	}
	sent := 0
	step := func() {
		got := c.Stdin.Received()
		if rest := got[sent:]; len(rest) > 0 && c.Stdout != nil {
			c.Stdout.Send(rest)
		}
		sent = len(got)
		switch {
		case c.Stdout != nil && c.Stdout.Pending() > catAhead:
			c.Stdin.PauseReading()
		case c.Stdin.EOF():
			c.Exit(0)
		default:
			c.Stdin.ResumeReading()
		}
		if c.Stdout != nil && c.Stdout.Err() != nil {
			c.Exit(1)
		}
	}
	c.Stdin.Notify(step)
	if c.Stdout != nil {
		c.Stdout.Notify(step)
	}
}
