package loop

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"syscall"
	"time"

	"github.com/sluice-net/sluice/loop/internal/simio"
	"github.com/sluice-net/sluice/subprocess"
	"github.com/sluice-net/sluice/transport"
)

// How many of each a run may have.
const (
	chaosPipes    = 8
	chaosChildren = 6
)

// chaosKinID is the number of the first stream in a trace, above those of ends.
const chaosKinID = 1000

// chaosAlone is the first seed of runs without a network.
const chaosAlone = 1 << 32

// chaosChild is a child process: its protocol, the model of what the transport may
// tell next, and, as far as it is simulated, the child itself.
type chaosChild struct {
	c       *chaos
	id      int
	tr      transport.SubprocessTransport
	program *simio.Child // nil until it runs
	streams [3]*chaosStream
	cancel  context.CancelFunc

	answered, cancelled bool // the start
	made, exited, lost  bool
	closed              bool // by us
	ending              bool // by a panic of ConnectionMade
	killed              bool // a signal was sent that ends it, unless it has ended
	left                bool // its pipes are a grandchild's
	code                int  // that it ends with by itself
}

func (k *chaosChild) fail(format string, args ...any) {
	k.c.fail("child %d: %s", k.id, fmt.Sprintf(format, args...))
}

// child starts a child.
func (c *chaos) child() {
	if len(c.children) >= chaosChildren || c.calm {
		return
	}
	k := &chaosChild{c: c, id: len(c.children), code: c.random.IntN(100)}
	c.children = append(c.children, k)
	var ctx context.Context
	ctx, k.cancel = context.WithCancel(context.Background())
	name := "chaos"
	if c.chance(12) {
		name = "no-such-program"
	}
	c.loop.SubprocessExecFunc(ctx, k, []string{name, strconv.Itoa(k.id)}, k.options(), k.started)
}

// options makes random ones, and the models of the pipes.
func (k *chaosChild) options() *subprocess.Options {
	kinds := []subprocess.Stdio{subprocess.Pipe, subprocess.Pipe, subprocess.DevNull,
		subprocess.Stdout}
	var chosen [3]int
	for fd := range chosen {
		chosen[fd] = k.c.random.IntN(3 + fd/2)
		if chosen[fd] < 2 {
			k.streams[fd] = k.c.newStream(fd == 0)
		}
	}
	return &subprocess.Options{Stdin: kinds[chosen[0]], Stdout: kinds[chosen[1]],
		Stderr: kinds[chosen[2]]}
}

// started takes the result of the start.
func (k *chaosChild) started(t transport.SubprocessTransport, err error) {
	k.c.note(k.id, "started", chaosReason(err))
	switch {
	case k.answered:
		k.fail("started twice")
	case err == nil && (!k.made || t != k.tr):
		k.fail("started, but not made")
	case err != nil && k.made && !k.ending:
		k.fail("made, but the start says %v", err)
	case errors.Is(err, context.Canceled) && !k.cancelled:
		k.fail("cancelled by nobody")
	}
	k.answered = true
	k.lost = k.lost || !k.made
}

// program is what every child of a run does.
func (c *chaos) program(p *simio.Child) {
	id, err := strconv.Atoi(p.Args[1])
	if err != nil || id >= len(c.children) {
		c.fail("a child %v", p.Args)
		return
	}
	k := c.children[id]
	k.program = p
	for fd, peer := range [3]*simio.Peer{p.Stdin, p.Stdout, p.Stderr} {
		if s := k.streams[fd]; s != nil {
			s.attach(peer, k)
		}
	}
	if c.chance(4) {
		p.OnSignal(func(syscall.Signal) {
			if c.chance(2) {
				k.exit()
			}
		})
	}
	if !c.chance(4) {
		c.world.After(c.upTo(200*time.Millisecond), k.exit)
	}
}

// exit is the child's own end; seldom a grandchild keeps its pipes.
func (k *chaosChild) exit() {
	switch {
	case k.program.Exited():
	case !k.c.calm && !k.c.ending && k.c.chance(4):
		k.left = true
		k.program.Leave(k.code)
	default:
		k.program.Exit(k.code)
	}
}

func (k *chaosChild) enter(name string, n int) {
	if !k.made || k.lost {
		k.fail("%s, made %v, lost %v", name, k.made, k.lost)
	}
	k.c.enter(k.id, name, n)
}

// end is called before a panic of ConnectionMade, which kills.
func (k *chaosChild) end() {
	k.ending = true
	k.ends()
}

// ends notes that the child is closed now, and killed where it runs.
func (k *chaosChild) ends() {
	k.closed = true
	k.signalled()
	for _, s := range k.streams {
		if s != nil {
			s.closed = true
		}
	}
}

// signalled notes a signal, which may end it.
func (k *chaosChild) signalled() {
	k.killed = k.killed || k.program == nil || !k.program.Exited()
}

// ConnectionMade implements protocol.SubprocessProtocol.
func (k *chaosChild) ConnectionMade(t transport.SubprocessTransport) {
	if k.made {
		k.fail("ConnectionMade twice")
	}
	k.made, k.tr = true, t
	k.enter("CM", 0)
	defer k.c.leave()
	for fd, s := range k.streams {
		if s != nil {
			s.tr = t.PipeTransport(fd)
		}
	}
	k.c.riot(k.end)
}

// PipeDataReceived implements protocol.SubprocessProtocol.
func (k *chaosChild) PipeDataReceived(fd int, data []byte) {
	k.enter("DR", len(data))
	defer k.c.leave()
	if k.closed {
		k.fail("%d bytes after Close", len(data))
	}
	k.streams[fd].received(data)
	k.c.riot(nil)
}

// PipeConnectionLost implements protocol.SubprocessProtocol.
func (k *chaosChild) PipeConnectionLost(fd int, err error) {
	k.enter("PL", chaosReason(err))
	defer k.c.leave()
	k.streams[fd].finish(err)
	k.c.riot(nil)
}

// ProcessExited implements protocol.SubprocessProtocol.
func (k *chaosChild) ProcessExited() {
	k.enter("PX", 0)
	defer k.c.leave()
	code, exited := k.tr.ReturnCode()
	switch {
	case k.exited || !exited:
		k.fail("ProcessExited twice, or without a code")
	case code != k.code && (code >= 0 || !k.killed):
		k.fail("return code %d instead of %d", code, k.code)
	}
	k.exited = true
	k.c.riot(nil)
}

// ConnectionLost implements transport.BaseProtocol.
func (k *chaosChild) ConnectionLost(err error) {
	k.enter("CL", chaosReason(err))
	defer k.c.leave()
	switch {
	case err == nil && !k.ending, k.ending && isChaos(err):
	case k.c.ending && errors.Is(err, ErrLoopClosed):
	default:
		k.fail("lost with %v", err)
	}
	for fd, s := range k.streams {
		if s != nil && !s.lost {
			k.fail("lost before its pipe %d", fd)
		}
	}
	if _, exited := k.tr.ReturnCode(); !exited || !k.exited && err == nil {
		k.fail("lost before it has exited")
	}
	k.lost = true
	k.c.riot(nil)
}

// PauseWriting implements transport.BaseProtocol.
func (k *chaosChild) PauseWriting() {
	k.enter("PW", 0)
	defer k.c.leave()
	k.streams[0].pausedWriting()
	k.c.riot(nil)
}

// ResumeWriting implements transport.BaseProtocol.
func (k *chaosChild) ResumeWriting() {
	k.enter("RW", 0)
	defer k.c.leave()
	k.streams[0].resumedWriting()
	k.c.riot(nil)
}
