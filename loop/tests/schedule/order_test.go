package schedule_test

import (
	"errors"
	"slices"
	"syscall"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
)

func TestS360_ReaderAndWriterAreIndependent(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		f, peer := rig.SocketPair(t, syscall.SOCK_STREAM)
		defer f.Close()
		fd, old, writable, readable := int(f.Fd()), 0, 0, 0
		looptest.Do(l, func() {
			err := errors.Join(
				l.AddReader(fd, func() { readable++ }),
				l.AddWriter(fd, func() { old++ }),
				l.AddWriter(fd, func() { writable++ })) // replaces the writer alone
			if err != nil {
				t.Error(err)
			}
		})
		looptest.WaitFor(t, l, "the writer", func() bool { return writable > 0 })
		if old > 0 || readable > 0 {
			t.Errorf("the old writer ran %d times, the reader %d times", old, readable)
		}
		looptest.Do(l, func() { l.RemoveWriter(fd) })
		if _, err := peer.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		looptest.WaitFor(t, l, "the reader", func() bool { return readable > 0 })
		looptest.Do(l, func() {
			writable = 0
			if err := l.AddWriter(fd, func() { writable++ }); err != nil {
				t.Error(err)
			}
			if !l.RemoveReader(fd) {
				t.Error("the reader was gone")
			}
		})
		looptest.WaitFor(t, l, "the writer again", func() bool { return writable > 0 })
		looptest.Do(l, func() { l.RemoveWriter(fd) })
	})
}

// The operation of the reader that was removed is still on its way then.
func TestS369_RemovingAReaderLeavesALaterOne(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		r, w := rig.Pipe(t)
		fd, calls := int(r.Fd()), 0
		looptest.Do(l, func() {
			for range 10 {
				err := l.AddReader(fd, func() { t.Error("a reader that was removed is called") })
				if err != nil || !l.RemoveReader(fd) {
					t.Error("not removed", err)
				}
			}
			if err := l.AddReader(fd, func() { calls++ }); err != nil {
				t.Error(err)
			}
		})
		looptest.Turns(l, 5) // in which the first ones end
		w.Write([]byte("x"))
		looptest.WaitFor(t, l, "the later reader", func() bool { return calls > 1 })
		looptest.Do(l, func() { l.RemoveReader(fd) })
	})
}

// Rounds follow each other without a pause until a byte has come on a connection.
func TestS375_TheOrderWithinARound(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		a, b := rig.Pair(t, l)
		r, w := rig.Pipe(t)
		w.Write([]byte("x")) // readable for ever
		fd := int(r.Fd())
		order := []string{"data", "soon", "reader", "timer"}
		rounds := map[uint64][]string{}
		seen := map[string]bool{}
		note := func(what string) {
			n := l.Stats().Turns
			rounds[n] = append(rounds[n], what)
			seen[what] = true
		}
		var round func()
		round = func() {
			note("soon")
			if len(seen) < len(order) && len(rounds) < 1<<16 {
				l.CallLater(0, func() { note("timer") })
				l.CallSoon(round)
			}
		}
		b.On.Data = func([]byte) { note("data") }
		looptest.Do(l, func() {
			if err := l.AddReader(fd, func() { note("reader") }); err != nil {
				t.Error(err)
			}
			l.CallSoon(round)
			l.CallSoon(func() { a.Transport().Write([]byte("x")) })
		})
		looptest.WaitFor(t, l, "one of each", func() bool { return len(seen) == len(order) })
		looptest.Do(l, func() { l.RemoveReader(fd) })
		for n, ran := range rounds {
			if !slices.IsSortedFunc(ran, func(x, y string) int {
				return slices.Index(order, x) - slices.Index(order, y)
			}) {
				t.Errorf("round %d ran %v", n, ran)
			}
		}
		together := false
		for _, ran := range rounds {
			together = together || slices.Contains(ran, "data") && slices.Contains(ran, "soon")
		}
		if !together {
			t.Error("the data came in a round of its own")
		}
	})
}
