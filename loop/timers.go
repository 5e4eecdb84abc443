package loop

import "time"

// timers is a 4-ary heap of timers by time, then by the order in which they
// were made. A cancelled timer leaves the heap at once, so that a server which
// arms and cancels a timer for each request keeps no dead ones.
type timers struct {
	heap []*TimerHandle
	seq  uint64
}

const arity = 4

func (t *timers) less(a, b *TimerHandle) bool {
	if a.when != b.when {
		return a.when < b.when
	}
	return a.seq < b.seq
}

// push adds h.
func (t *timers) push(h *TimerHandle) {
	t.seq++
	h.seq, h.heap, h.index = t.seq, t, len(t.heap)
	t.heap = append(t.heap, h)
	t.up(h.index)
}

// next returns the earliest time, and false if there is no timer.
func (t *timers) next() (time.Duration, bool) {
	if len(t.heap) == 0 {
		return 0, false
	}
	return t.heap[0].when, true
}

// pop removes and returns the earliest timer that is due at now, or nil.
func (t *timers) pop(now time.Duration) *TimerHandle {
	if len(t.heap) == 0 || t.heap[0].when > now {
		return nil
	}
	h := t.heap[0]
	t.remove(h)
	return h
}

// remove removes h from the heap, if it is in it.
func (t *timers) remove(h *TimerHandle) {
	i := h.index
	if i < 0 {
		return
	}
	h.index = -1
	last := len(t.heap) - 1
	moved := t.heap[last]
	t.heap[last] = nil
	t.heap = t.heap[:last]
	if i == last {
		return
	}
	t.heap[i], moved.index = moved, i
	t.up(i)
	t.down(moved.index)
}

func (t *timers) up(i int) {
	for i > 0 {
		parent := (i - 1) / arity
		if !t.less(t.heap[i], t.heap[parent]) {
			return
		}
		t.swap(i, parent)
		i = parent
	}
}

func (t *timers) down(i int) {
	for {
		least := i
		first := i*arity + 1
		for c := first; c < min(first+arity, len(t.heap)); c++ {
			if t.less(t.heap[c], t.heap[least]) {
				least = c
			}
		}
		if least == i {
			return
		}
		t.swap(i, least)
		i = least
	}
}

func (t *timers) swap(i, j int) {
	t.heap[i], t.heap[j] = t.heap[j], t.heap[i]
	t.heap[i].index, t.heap[j].index = i, j
}
