package loop

import "time"

// timers are the timers that wait, by time, and at the same time by the order in which they
// were made. A cancelled timer leaves at once, so that a server which arms and cancels a timer
// for each request keeps no dead ones.
//
// Most programs have a few timeouts, each of which is the same for all connections. Timers
// with one timeout are made in the order of their times, so they stand in a lane, which they
// join and leave at the same cost however many there are. The heap has the others.
type timers struct {
	lanes [4]timerLane
	heap  timerHeap
	seq   uint64
}

// Where a timer is, if not at an index of the heap.
const (
	noTimer   = -1          // it does not wait
	firstLane = noTimer - 1 // in the first lane; the others follow downwards
)

// push adds h. Of the lanes that take it, it joins the one whose end is the latest, which is
// that of its own timeout.
func (t *timers) push(h *TimerHandle) {
	t.seq++
	h.seq = t.seq
	best := -1
	for i := range t.lanes {
		l := &t.lanes[i]
		if l.takes(h) && (best < 0 || t.lanes[best].endsBefore(l)) {
			best = i
		}
	}
	if best < 0 {
		t.heap.push(h)
		return
	}
	t.lanes[best].push(h)
	h.index = int32(firstLane - best)
}

// first returns the timer that is due first, or nil.
func (t *timers) first() (first *TimerHandle) {
	if len(t.heap) > 0 {
		first = t.heap[0].timer
	}
	for i := range t.lanes {
		if h := t.lanes[i].first; h != nil && (first == nil || h.dueBefore(first)) {
			first = h
		}
	}
	return first
}

// next returns the earliest time, and false if there is no timer.
func (t *timers) next() (time.Duration, bool) {
	if h := t.first(); h != nil {
		return h.when, true
	}
	return 0, false
}

// pop removes and returns the earliest timer that is due at now, or nil.
func (t *timers) pop(now time.Duration) *TimerHandle {
	h := t.first()
	if h == nil || h.when > now {
		return nil
	}
	t.remove(h)
	return h
}

// remove removes h, if it waits.
func (t *timers) remove(h *TimerHandle) {
	switch i := int(h.index); {
	case i == noTimer:
		return
	case i >= 0:
		t.heap.remove(i)
	default:
		t.lanes[firstLane-i].remove(h)
	}
	h.index = noTimer
}
