package loop

import "time"

// timerHeap is a 4-ary heap. The times lie in the heap itself: to follow the pointers would
// cost a cache miss for each comparison.
type timerHeap []timerKey

// timerKey is a timer in the heap, with its time.
type timerKey struct {
	when  time.Duration
	timer *TimerHandle
}

func (a timerKey) before(b timerKey) bool {
	return a.when < b.when || a.when == b.when && a.timer.seq < b.timer.seq
}

const arity = 4

// push adds h.
func (t *timerHeap) push(h *TimerHandle) {
	*t = append(*t, timerKey{})
	t.up(len(*t)-1, timerKey{h.when, h})
}

// remove removes the timer at i. The last timer takes its place, and goes from there to
// where it belongs.
func (t *timerHeap) remove(i int) {
	keys := *t
	last := len(keys) - 1
	moved := keys[last]
	keys[last] = timerKey{}
	*t = keys[:last]
	switch {
	case i == last:
	case i > 0 && moved.before(keys[(i-1)/arity]):
		t.up(i, moved)
	default:
		t.down(i, moved)
	}
}

// up puts k at i, which is free, or as far above it as it belongs.
func (t timerHeap) up(i int, k timerKey) {
	for i > 0 {
		parent := (i - 1) / arity
		if !k.before(t[parent]) {
			break
		}
		t.set(i, t[parent])
		i = parent
	}
	t.set(i, k)
}

// down puts k at i, which is free, or as far below it as it belongs.
func (t timerHeap) down(i int, k timerKey) {
	for {
		first := i*arity + 1
		if first >= len(t) {
			break
		}
		least := first
		for c := first + 1; c < min(first+arity, len(t)); c++ {
			if t[c].before(t[least]) {
				least = c
			}
		}
		if !t[least].before(k) {
			break
		}
		t.set(i, t[least])
		i = least
	}
	t.set(i, k)
}

func (t timerHeap) set(i int, k timerKey) {
	t[i] = k
	k.timer.index = int32(i)
}
