package loop

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/sluice-net/sluice/subprocess"
	"github.com/sluice-net/sluice/transport"
)

// beginKin makes the first pipes and children.
func (c *chaos) beginKin() {
	for range 1 + c.random.IntN(3) {
		c.child()
	}
	for range 1 + c.random.IntN(3) {
		c.pipe()
	}
	for range 2 + c.random.IntN(8) {
		c.later()
	}
}

// actOfKin does one random thing to a pipe or a child, or makes one.
func (c *chaos) actOfKin() {
	switch n := c.random.IntN(20); {
	case n == 0 || len(c.children) == 0:
		c.child()
	case n == 1 || len(c.streams) == 0:
		c.pipe()
	case n < 4:
		c.later()
	case n < 7:
		c.children[c.random.IntN(len(c.children))].act()
	default:
		c.streams[c.random.IntN(len(c.streams))].act()
	}
}

// act calls a random method of the transport, or gives a start up.
func (k *chaosChild) act() {
	n := k.c.random.IntN(20)
	switch {
	case !k.made && !k.answered && !k.cancelled && n < 6:
		k.cancelled = true
		k.c.post(k.cancel)
	case !k.made || k.lost:
	case n == 0:
		k.close()
	case n < 4:
		k.signal(syscall.SIGKILL, k.tr.Kill)
	case n < 6:
		k.signal(syscall.SIGTERM, k.tr.Terminate)
	case n < 10:
		sig := []syscall.Signal{0, syscall.SIGUSR1, 99}[k.c.random.IntN(3)]
		k.signal(sig, func() error { return k.tr.SendSignal(sig) })
	case n < 14:
		k.setProtocol()
	default:
		k.look()
	}
}

func (k *chaosChild) close() {
	k.ends()
	k.c.within(func() {
		if err := k.tr.Close(); err != nil || !k.tr.IsClosing() {
			k.fail("Close: %v, IsClosing %v", err, k.tr.IsClosing())
		}
	})
}

// signal sends one, by a method.
func (k *chaosChild) signal(sig syscall.Signal, send func() error) {
	if sig > 0 && sig < 65 {
		k.signalled()
	}
	k.c.within(func() {
		err := send()
		switch {
		case sig > 64 && errors.Is(err, subprocess.ErrSignal):
		case sig <= 64 && err == nil:
		case errors.Is(err, os.ErrProcessDone) && k.exits():
		default:
			k.fail("signal %d: %v", sig, err)
		}
	})
}

// exits reports whether the transport knows that the child has exited.
func (k *chaosChild) exits() bool {
	_, exited := k.tr.ReturnCode()
	return exited
}

func (k *chaosChild) setProtocol() {
	k.c.within(func() {
		if err := k.tr.SetProtocol(nil); err != transport.ErrNilProtocol {
			k.fail("SetProtocol(nil): %v", err)
		}
		var stream struct{ transport.BaseProtocol }
		if err := k.tr.SetProtocol(stream); err != transport.ErrProtocolKind {
			k.fail("SetProtocol of a stream's: %v", err)
		}
		if err := k.tr.SetProtocol(k); err != nil || k.tr.Protocol() != k {
			k.fail("SetProtocol: %v", err)
		}
	})
}

// look calls what changes nothing.
func (k *chaosChild) look() {
	_ = fmt.Sprint(k.tr)
	for fd, s := range k.streams {
		if t := k.tr.PipeTransport(fd); (t != nil) != (s != nil) {
			k.fail("pipe %d is %v", fd, t)
		}
	}
	if k.tr.Pid() <= 0 || k.exits() != k.exited && k.c.depth == 0 {
		k.fail("%v, told %v", k.tr, k.exited)
	}
	if k.tr.IsClosing() != k.closed && !k.c.ending {
		k.fail("IsClosing %v, closed %v", k.tr.IsClosing(), k.closed)
	}
}

// lastChild starts a child whose start is under way when the loop is shut down or
// closed; in half of the runs just before that in the same round.
func (c *chaos) lastChild() {
	switch {
	case !c.kin:
	case c.chance(2):
		c.child()
	default:
		c.loop.CallSoon(c.child)
	}
}

// settleKin has everybody read. Some children are closed, others go on.
func (c *chaos) settleKin() {
	for _, s := range c.streams {
		if s.alive() && !s.writes {
			s.resume()
		}
	}
	for _, k := range c.children {
		if k.made && !k.lost && c.chance(2) {
			k.close()
		}
	}
}

// expectQuietKin is expectQuiet for pipes and children.
func (c *chaos) expectQuietKin() {
	for _, s := range c.streams {
		if s.alive() {
			s.quiet()
		}
	}
	for _, k := range c.children {
		switch {
		case !k.answered:
			k.fail("the start does not end")
		case !k.made || k.lost:
		case k.closed || k.program == nil || k.program.Exited() && !k.left:
			k.fail("no end: %v, closed %v", k.tr, k.closed)
		}
	}
}

// closeKin notes that Shutdown closes what there is, and counts it.
func (c *chaos) closeKin() (n int) {
	for _, s := range c.streams {
		if s.alive() {
			s.closed = true
			n++
		}
	}
	for _, k := range c.children {
		if !k.lost {
			k.killed = true
			n++
		}
	}
	return n
}

// expectGone checks that Shutdown has ended everything.
func (c *chaos) expectGone() {
	for _, s := range c.streams {
		if s.alive() {
			s.fail("no end: %v", s.tr)
		}
	}
	for _, k := range c.children {
		if !k.answered || !k.lost {
			k.fail("no end: %v", k.tr)
		}
	}
}
