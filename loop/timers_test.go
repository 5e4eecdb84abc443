package loop

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestS383_ACancelledTimerLeavesAtOnce(t *testing.T) {
	l, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var hs []*TimerHandle
	for i := range 1000 {
		hs = append(hs, l.CallLater(time.Hour+time.Duration(i*7919%1000), func() {}))
	}
	for i, h := range hs {
		if i%10 != 0 {
			h.Cancel()
			h.Cancel()
		}
	}
	waiting := timersOf(t, &l.timers)
	if len(waiting) != 100 {
		t.Errorf("%d timers wait, 100 were not cancelled", len(waiting))
	}
	for _, h := range waiting {
		if h.Cancelled() {
			t.Error("a cancelled timer waits")
		}
	}
	for _, k := range l.timers.heap[len(l.timers.heap):cap(l.timers.heap)] {
		if k.timer != nil {
			t.Fatal("the heap keeps a timer that has left it")
		}
	}
}

// timersOf returns all that wait, and checks that each knows where it is.
func timersOf(t *testing.T, all *timers) (waiting []*TimerHandle) {
	t.Helper()
	for i, k := range all.heap {
		if int(k.timer.index) != i || k.when != k.timer.when {
			t.Errorf("the timer at %d of the heap has the index %d", i, k.timer.index)
		}
		waiting = append(waiting, k.timer)
	}
	for i := range all.lanes {
		var before *TimerHandle
		for h := all.lanes[i].first; h != nil; h = h.after {
			if int(h.index) != firstLane-i || h.before != before ||
				before != nil && !before.dueBefore(h) {
				t.Errorf("a timer of lane %d has the index %d, or is not in its place", i, h.index)
			}
			before = h
			waiting = append(waiting, h)
		}
		if all.lanes[i].last != before {
			t.Errorf("lane %d ends elsewhere", i)
		}
	}
	return waiting
}

// Timers of a few timeouts, of random times and of one time, which are added, cancelled and
// due in any order.
func TestTimersAreDueByTimeAndThenByAge(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 0))
		var all timers
		var model []*TimerHandle // in the order in which they are due
		var now time.Duration
		for range 2000 {
			switch r.IntN(4) {
			case 0, 1:
				h := &TimerHandle{index: noTimer}
				switch r.IntN(3) {
				case 0:
					h.when = now + [...]time.Duration{10, 300, 5, 60, 60000}[r.IntN(5)]
				case 1:
					h.when = now + time.Duration(r.IntN(1000))
				}
				all.push(h)
				at, _ := slices.BinarySearchFunc(model, h, func(a, b *TimerHandle) int {
					if a.dueBefore(b) {
						return -1
					}
					return 1
				})
				model = slices.Insert(model, at, h)
			case 2:
				if len(model) > 0 {
					i := r.IntN(len(model))
					all.remove(model[i])
					all.remove(model[i])
					model = slices.Delete(model, i, i+1)
				}
			case 3:
				now += time.Duration(r.IntN(8))
				for h := all.pop(now); h != nil; h = all.pop(now) {
					if len(model) == 0 || h != model[0] {
						t.Fatalf("seed %d: the wrong timer is due", seed)
					}
					model = model[1:]
				}
				if len(model) > 0 && model[0].when <= now {
					t.Fatalf("seed %d: a timer is not due", seed)
				}
			}
			if when, ok := all.next(); ok != (len(model) > 0) || ok && when != model[0].when {
				t.Fatalf("seed %d: next is %v, %v", seed, when, ok)
			}
		}
		if waiting := timersOf(t, &all); len(waiting) != len(model) {
			t.Fatalf("seed %d: %d timers wait, not %d", seed, len(waiting), len(model))
		}
	}
}

// The idle timeouts of many connections: they join and leave without the heap.
func TestTimersWithOneTimeoutStandInALane(t *testing.T) {
	var all timers
	var idle, handshake []*TimerHandle
	for now := range time.Duration(1000) {
		for timeout, list := range map[time.Duration]*[]*TimerHandle{
			30_000: &idle, 5_000: &handshake} {
			h := &TimerHandle{when: now + timeout, index: noTimer}
			all.push(h)
			*list = append(*list, h)
		}
	}
	if len(all.heap) > 0 {
		t.Errorf("%d timers of two timeouts are in the heap", len(all.heap))
	}
	for _, h := range append(idle, handshake...) {
		all.remove(h)
	}
	if _, ok := all.next(); ok {
		t.Error("one is left")
	}
}

func TestWhatIsScheduledIsCancelledByClose(t *testing.T) {
	l, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	never := func() { t.Error("a function ran") }
	var timers []*TimerHandle
	for i := range 20 {
		timers = append(timers, l.CallLater(time.Hour*time.Duration(20-i), never))
	}
	all := []*Handle{l.CallSoon(never), l.CallSoonThreadsafe(never)}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, h := range timers {
		all = append(all, &h.Handle)
	}
	for i, h := range all {
		if !h.Cancelled() {
			t.Errorf("function %d is not cancelled", i)
		}
	}
	for _, h := range timers {
		h.Cancel()
	}
}
