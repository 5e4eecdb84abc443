package simio

import (
	"time"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// event is something that will happen at a time.
type event struct {
	at     time.Duration
	seq    uint64 // events of one time happen in the order they were made
	do     func()
	script bool // do is a test's and wants the lock free
}

// eventHeap is a binary heap, the earliest event first.
type eventHeap []event

func (h eventHeap) less(i, j int) bool {
	if h[i].at != h[j].at {
		return h[i].at < h[j].at
	}
	return h[i].seq < h[j].seq
}

func (h *eventHeap) push(e event) {
	*h = append(*h, e)
	s := *h
	for i := len(s) - 1; i > 0; {
		up := (i - 1) / 2
		if !s.less(i, up) {
			return
		}
		s[i], s[up] = s[up], s[i]
		i = up
	}
}

func (h *eventHeap) pop() event {
	s := *h
	first, last := s[0], len(s)-1
	s[0], s[last] = s[last], event{}
	s = s[:last]
	for i := 0; ; {
		least := i
		for _, down := range [2]int{2*i + 1, 2*i + 2} {
			if down < last && s.less(down, least) {
				least = down
			}
		}
		if least == i {
			break
		}
		s[i], s[least] = s[least], s[i]
		i = least
	}
	*h = s
	return first
}

// Now is the virtual time since the world began. It moves in Wait alone: to the
// next event where nothing else is to be done, and by a microsecond a turn, so
// that a loop that always has something to do still sees its timers.
func (w *World) Now() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// After calls f in d of virtual time, inside some engine's Wait, on its
// goroutine, which returns then. f may do all that Complete may.
func (w *World) After(d time.Duration, f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.push(event{at: proactor.Later(w.now, d), do: f, script: true})
}

// at schedules do, which is called with the lock held.
func (w *World) at(when time.Duration, do func()) {
	w.push(event{at: when, do: do})
}

func (w *World) push(e event) {
	w.seq++
	e.seq = w.seq
	w.events.push(e)
	w.rouse()
}

// block waits for another goroutine, until something is to happen or stirred says
// so. When all engines do, Idle is called first.
func (w *World) block(stirred func() bool) {
	w.asleep++
	defer func() { w.asleep-- }()
	if w.asleep == w.live() && w.idle != nil {
		w.unlocked(w.idle)
	}
	for !stirred() && len(w.events) == 0 {
		w.cond.Wait()
	}
}

// live counts the engines, the rings and the epoll instances that are not closed.
func (w *World) live() int {
	n := 0
	for _, e := range w.engines {
		if !e.over {
			n++
		}
	}
	for _, m := range w.machines {
		n += len(m.rings)
		if m.epoll.isOpen() {
			n++
		}
	}
	return n
}

// rouse lets blocked Waits look again.
func (w *World) rouse() {
	if w.asleep > 0 {
		w.cond.Broadcast()
	}
}

// runDue lets everything happen whose time has come. It reports whether a
// test's function was called, which Wait returns after: the test may have asked
// for something that only its loop can see.
func (w *World) runDue() (called bool) {
	w.settle()
	for len(w.events) > 0 && w.events[0].at <= w.now {
		e := w.events.pop()
		if e.script {
			w.unlocked(e.do)
			called = true
		} else {
			e.do()
		}
		w.settle()
	}
	return called
}
