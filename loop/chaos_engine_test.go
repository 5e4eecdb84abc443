package loop

import (
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// chaosTurns bounds the rounds of one run; none needs a tenth of them.
const chaosTurns = 300_000

// chaosTimeout is how long, in real time, another goroutine may take.
const chaosTimeout = 10 * time.Second

// chaosEngine watches what the loop hands to the simulated kernel.
type chaosEngine struct {
	proactor.Proactor
	c     *chaos
	ops   map[int][]*proactor.Op // that were ever submitted, by open descriptor
	wakes atomic.Int64
	turns int
}

// Submit implements proactor.Proactor.
func (e *chaosEngine) Submit(op *proactor.Op) {
	known := false
	for _, o := range e.ops[op.FD] {
		known = known || o == op
	}
	if !known {
		e.ops[op.FD] = append(e.ops[op.FD], op)
	}
	e.Proactor.Submit(op)
}

// CloseFD implements proactor.Kernel.
func (e *chaosEngine) CloseFD(fd int) error {
	delete(e.ops, fd)
	return e.Proactor.CloseFD(fd)
}

// Wait implements proactor.Proactor.
func (e *chaosEngine) Wait(timeout time.Duration) error {
	if e.turns++; e.turns > chaosTurns {
		e.c.stuck("the loop turns without end")
	}
	return e.Proactor.Wait(timeout)
}

// Wake implements proactor.Proactor.
func (e *chaosEngine) Wake() {
	e.Proactor.Wake()
	e.wakes.Add(1)
}

// Spawn implements proactor.Spawner.
func (e *chaosEngine) Spawn(args []string, pipes [3]bool, merged bool) (proactor.Spawned, error) {
	return e.Proactor.(proactor.Spawner).Spawn(args, pipes, merged)
}

// SignalChild implements proactor.Spawner.
func (e *chaosEngine) SignalChild(pidfd int, sig syscall.Signal) error {
	return e.Proactor.(proactor.Spawner).SignalChild(pidfd, sig)
}

// ReapChild implements proactor.Spawner.
func (e *chaosEngine) ReapChild(pidfd int) (code int) {
	return e.Proactor.(proactor.Spawner).ReapChild(pidfd)
}

// busy reports whether an operation is in flight on fd.
func (e *chaosEngine) busy(fd int) bool {
	for _, op := range e.ops[fd] {
		if op.InFlight() {
			return true
		}
	}
	return false
}

// flying counts the bytes of the send in flight on fd.
func (e *chaosEngine) flying(fd int) int {
	n := 0
	for _, op := range e.ops[fd] {
		switch {
		case !op.InFlight():
		case op.Code == proactor.SendMsg:
			for _, b := range op.Bufs {
				n += len(b)
			}
		case op.Code == proactor.Send:
			n += len(op.Buf)
		}
	}
	return n
}

// stuck ends a run that would never end: the loop's goroutine with it.
func (c *chaos) stuck(why string) {
	c.fail("%s", why)
	runtime.Goexit()
}

// post calls f, which has another goroutine post to the loop, and waits until
// that has happened, so that it happens at the same time in every run.
func (c *chaos) post(f func()) {
	posts := func() int {
		c.loop.mu.Lock()
		defer c.loop.mu.Unlock()
		return len(c.loop.posts)
	}
	before, wakes := posts(), c.engine.wakes.Load()
	f()
	begun := time.Now()
	for posts() == before || before == 0 && c.engine.wakes.Load() == wakes {
		runtime.Gosched()
		if time.Since(begun) > chaosTimeout {
			c.stuck("nothing was posted")
		}
	}
}
