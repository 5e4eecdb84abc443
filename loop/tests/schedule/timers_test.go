package schedule_test

import (
	"slices"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
)

func TestS374_WhatACallbackSchedulesRunsOneRoundLater(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		var turns []uint64
		var next func()
		next = func() {
			turns = append(turns, l.Stats().Turns)
			if len(turns) < 10 {
				l.CallSoon(next)
			}
		}
		looptest.Do(l, func() { l.CallSoon(next) })
		looptest.WaitFor(t, l, "ten rounds", func() bool { return len(turns) == 10 })
		for i := range turns {
			if turns[i] != turns[0]+uint64(i) {
				t.Fatalf("ran in the rounds %v", turns)
			}
		}
	})
}

func TestS378_NegativeDelaysAreDueAtOnceInTheirOrder(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		var order []time.Duration
		var turns []uint64
		made := uint64(0)
		looptest.Do(l, func() {
			made = l.Stats().Turns
			for _, d := range []time.Duration{-1, -time.Hour, 0, -time.Minute, -1 << 62} {
				l.CallLater(d, func() {
					order, turns = append(order, d), append(turns, l.Stats().Turns)
				})
			}
		})
		looptest.WaitFor(t, l, "all timers", func() bool { return len(order) == 5 })
		if !slices.IsSorted(order) {
			t.Errorf("ran in the order %v", order)
		}
		if turns[0] != turns[4] || turns[0] > made+1 {
			t.Errorf("made in round %d, ran in %v", made, turns)
		}
	})
}

// A loop that asks its clock again and again until the time has come makes thousands
// of rounds meanwhile.
func TestS384_WaitingForAShortTimerTakesFewRounds(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		const count, delay = 20, 900 * time.Microsecond
		ran, before, after := 0, uint64(0), uint64(0)
		done := make(chan struct{})
		var next func()
		next = func() {
			want := l.Time() + delay
			l.CallLater(delay, func() {
				if now := l.Time(); now < want {
					t.Errorf("a timer ran %v early", want-now)
				}
				if ran++; ran < count {
					next()
					return
				}
				after = l.Stats().Turns
				close(done)
			})
		}
		looptest.Do(l, func() {
			before = l.Stats().Turns
			next()
		})
		select {
		case <-done:
		case <-time.After(looptest.WaitTimeout):
			t.Fatal("the timers do not end")
		}
		if turns := after - before; turns > 4*count {
			t.Errorf("%d rounds for %d timers", turns, count)
		}
	})
}
