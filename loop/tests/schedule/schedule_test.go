package schedule_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
)

func TestS373_CallSoonIsFIFOAndRunsOnce(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		var order []int
		looptest.Do(l, func() {
			for i := range 100 {
				l.CallSoon(func() { order = append(order, i) })
			}
		})
		looptest.WaitFor(t, l, "100 callbacks", func() bool { return len(order) >= 100 })
		if !slices.IsSorted(order) || len(order) != 100 {
			t.Errorf("ran in the order %v", order)
		}
	})
}

func TestS374_CallbackOfACallbackRunsInTheNextRound(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		var order []string
		looptest.Do(l, func() {
			l.CallSoon(func() {
				l.CallSoon(func() { order = append(order, "inner") })
				order = append(order, "first")
			})
			l.CallSoon(func() { order = append(order, "second") })
		})
		looptest.WaitFor(t, l, "inner", func() bool { return slices.Contains(order, "inner") })
		if !slices.Equal(order, []string{"first", "second", "inner"}) {
			t.Errorf("ran in the order %v", order)
		}
	})
}

func TestS393_CallbacksDoNotStarveInput(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		a, b := rig.Pair(t, l)
		turns, received := 0, false
		var spin func()
		spin = func() {
			if turns++; b.Received() > 0 {
				received = true
			} else if turns < 1<<20 {
				l.CallSoon(spin)
			}
		}
		looptest.Do(l, func() {
			a.Transport().Write([]byte("x"))
			spin()
		})
		looptest.WaitFor(t, l, "input", func() bool { return received || turns == 1<<20 })
		if !received {
			t.Errorf("no input in %d rounds", turns)
		}
	})
}

func TestS376_CancelledHandleDoesNotRun(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		ran, done := false, false
		looptest.Do(l, func() {
			var second *loop.Handle
			l.CallSoon(func() {
				second.Cancel() // in the same batch
				second.Cancel()
				if !second.Cancelled() {
					t.Error("not Cancelled")
				}
			})
			second = l.CallSoon(func() { ran = true })
			var timer *loop.TimerHandle
			l.CallLater(0, func() { timer.Cancel() })
			timer = l.CallLater(0, func() { ran = true })
			l.CallLater(time.Millisecond, func() { done = true })
		})
		looptest.WaitFor(t, l, "the last timer", func() bool { return done })
		if ran {
			t.Error("a cancelled function ran")
		}
	})
}

func TestS377_TimersRunOnceAndNotEarly(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		runs := map[time.Duration]int{}
		delays := []time.Duration{1, 300 * time.Microsecond, 5 * time.Millisecond, 0}
		looptest.Do(l, func() {
			for _, d := range delays {
				want := l.Time() + d
				h := l.CallLater(d, func() {
					runs[d]++
					if now := l.Time(); now < want {
						t.Errorf("timer of %v ran %v early", d, want-now)
					}
				})
				if h.When() < want {
					t.Errorf("When() is %v before the time", want-h.When())
				}
			}
			at := l.Time() + 2*time.Millisecond
			if h := l.CallAt(at, func() { runs[-1]++ }); h.When() != at {
				t.Errorf("When() = %v, want %v", h.When(), at)
			}
		})
		looptest.Pass(t, l, 20*time.Millisecond)
		for _, d := range append(delays, -1) {
			if runs[d] != 1 {
				t.Errorf("timer of %v ran %d times", d, runs[d])
			}
		}
	})
}

func TestS379_TimersInTheOrderOfTimeThenOfMaking(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		var order []int
		looptest.Do(l, func() {
			at := l.Time() + time.Millisecond
			for i := range 20 {
				l.CallAt(at, func() { order = append(order, i) })
			}
			l.CallAt(at-1, func() { order = append(order, -1) })
			l.CallLater(-time.Hour, func() { order = append(order, -2) })
		})
		looptest.WaitFor(t, l, "all timers", func() bool { return len(order) == 22 })
		if !slices.IsSorted(order) {
			t.Errorf("ran in the order %v", order)
		}
	})
}

func TestS380_CallLater0AfterWhatWasQueued(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		var order []string
		looptest.Do(l, func() {
			l.CallLater(0, func() { order = append(order, "timer") })
			l.CallSoon(func() { order = append(order, "soon") })
		})
		looptest.WaitFor(t, l, "both", func() bool { return len(order) == 2 })
		if order[0] != "soon" {
			t.Errorf("ran in the order %v", order)
		}
	})
}

func TestS381_TimeIsMonotonic(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		last := l.Time()
		for range 100 {
			looptest.Do(l, func() {
				if now := l.Time(); now < last {
					t.Errorf("%v after %v", now, last)
				} else {
					last = now
				}
			})
		}
		looptest.Pass(t, l, time.Millisecond)
		if now := l.Time(); now < last+time.Millisecond {
			t.Errorf("%v after %v and a millisecond", now, last)
		}
	})
}

func TestS382_HugeDelaysAreNotAnError(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		ran, rounds := false, 0
		looptest.Do(l, func() {
			h := l.CallLater(1<<62, func() { ran = true })
			var next func()
			next = func() { // without a pause: simulated time passes by itself
				if rounds++; rounds == 5 {
					h.Cancel()
				} else {
					l.CallSoon(next)
				}
			}
			next()
		})
		looptest.WaitFor(t, l, "five rounds", func() bool { return rounds == 5 })
		if ran {
			t.Error("a timer of a century ran")
		}
	})
}

func TestS383_CancelledTimersAreForgotten(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		count := 0
		looptest.Do(l, func() {
			var hs []*loop.TimerHandle
			for i := range 10000 {
				hs = append(hs, l.CallLater(time.Duration(i%97)*10*time.Microsecond,
					func() { count++ }))
			}
			for i, h := range hs {
				if i%100 != 0 {
					h.Cancel()
				}
			}
		})
		looptest.Pass(t, l, 5*time.Millisecond)
		if count != 100 {
			t.Errorf("%d timers ran, want 100", count)
		}
	})
}

func TestS385_StopFinishesTheRound(t *testing.T) {
	l := idle(t)
	var order []string
	l.CallSoon(func() {
		l.Stop()
		l.CallSoon(func() { order = append(order, "next run") })
		order = append(order, "first")
	})
	l.CallSoon(func() { order = append(order, "second") })
	if err := l.RunForever(); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(order, []string{"first", "second"}) {
		t.Errorf("first run: %v", order)
	}
	l.Stop()
	if err := l.RunForever(); err != nil || len(order) != 3 {
		t.Errorf("second run: %v, %v", order, err)
	}
}

func TestS386_StopBeforeTheRunIsOneRound(t *testing.T) {
	l := idle(t)
	ran := 0
	l.CallSoon(func() { ran++; l.CallSoon(func() { ran++ }) })
	l.Stop()
	if err := l.RunForever(); err != nil || ran != 1 {
		t.Errorf("ran %d callbacks, %v", ran, err)
	}
}

func TestS387_ARunningLoopCannotBeRunOrClosed(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		if err := l.RunForever(); !errors.Is(err, loop.ErrLoopRunning) {
			t.Errorf("RunForever: %v", err)
		}
		if err := l.Close(); !errors.Is(err, loop.ErrLoopRunning) {
			t.Errorf("Close: %v", err)
		}
		looptest.Do(l, func() {
			if err := l.RunForever(); !errors.Is(err, loop.ErrLoopRunning) {
				t.Errorf("RunForever on the loop: %v", err)
			}
			if err := l.Close(); !errors.Is(err, loop.ErrLoopRunning) {
				t.Errorf("Close on the loop: %v", err)
			}
		})
	})
}

func TestS388_AfterCloseNothingIsScheduled(t *testing.T) {
	l := idle(t)
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		t.Fatal(err)
	}
	f := func() { t.Error("ran") }
	handles := []interface{ Cancelled() bool }{
		l.CallSoon(f), l.CallSoonThreadsafe(f), l.CallLater(0, f), l.CallAt(0, f),
	}
	for i, h := range handles {
		if !h.Cancelled() {
			t.Errorf("handle %d is not cancelled", i)
		}
	}
	if err := l.RunForever(); !errors.Is(err, loop.ErrLoopClosed) {
		t.Errorf("RunForever: %v", err)
	}
	if err := l.AddReader(0, f); !errors.Is(err, loop.ErrLoopClosed) {
		t.Errorf("AddReader: %v", err)
	}
	l.RunInExecutor(func() error { f(); return nil }, nil)
	if l.RemoveReader(0) {
		t.Error("RemoveReader removed something")
	}
	l.Stop()
}

func TestS389_CloseDropsWhatIsPending(t *testing.T) {
	l := idle(t)
	ran := false
	l.CallSoon(func() { ran = true })
	l.CallLater(0, func() { ran = true })
	h := l.CallSoonThreadsafe(func() { ran = true })
	if err := l.Close(); err != nil || ran || !h.Cancelled() {
		t.Errorf("ran %v, cancelled %v, %v", ran, h.Cancelled(), err)
	}
}

func TestS392_PanicInACallbackDoesNotStopTheLoop(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		looptest.Expect(l, "Exception in callback")
		after := false
		var h *loop.Handle
		looptest.Do(l, func() {
			h = l.CallSoon(func() { panic("planned") })
			l.CallSoon(func() { after = true })
		})
		looptest.WaitFor(t, l, "the rest of the batch", func() bool { return after })
		e := looptest.Exceptions(l)[0]
		var p *protocol.PanicError
		if e.Handle != h || !errors.As(e.Err, &p) || p.Value != "planned" || len(p.Stack) == 0 {
			t.Errorf("reported %+v", e)
		}
	})
}

func TestS395_CallSoonThreadsafeWakesAndKeepsOrder(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		const each = 1000
		var seen [4][]int
		var all sync.WaitGroup
		for g := range seen {
			all.Go(func() {
				for i := range each {
					l.CallSoonThreadsafe(func() { seen[g] = append(seen[g], i) })
				}
			})
		}
		all.Wait()
		looptest.WaitFor(t, l, "all posts", func() bool {
			return len(seen[0])+len(seen[1])+len(seen[2])+len(seen[3]) == len(seen)*each
		})
		for g, order := range seen {
			if !slices.IsSorted(order) {
				t.Errorf("posts of goroutine %d ran out of order", g)
			}
		}
	})
}

func TestS396_CancelFromAnotherGoroutine(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		for range 200 {
			ran := make(chan struct{}, 1)
			h := l.CallSoonThreadsafe(func() { ran <- struct{}{} })
			h.Cancel()
			cancelled := h.Cancelled()
			looptest.Turns(l, 1)
			if cancelled == (len(ran) == 1) {
				t.Fatalf("cancelled %v, ran %v", cancelled, len(ran) == 1)
			}
		}
	})
}

// idle is a loop that does not run.
func idle(t *testing.T) *loop.Loop {
	t.Helper()
	l, err := loop.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}
