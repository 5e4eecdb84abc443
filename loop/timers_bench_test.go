package loop

import (
	"math/rand/v2"
	"testing"
	"time"
)

// million is how many timers are pending while others come and go.
const million = 1 << 20

// BenchmarkTimers measures what a timer costs among a million others: one that is cancelled
// soon, and the idle timeouts of many connections, of which the oldest is always the one that
// is cancelled and made anew.
func BenchmarkTimers(b *testing.B) {
	pending := func(b *testing.B, when func(i int) time.Duration) (*Loop, []*TimerHandle) {
		l := &Loop{}
		all := make([]*TimerHandle, million)
		for i := range all {
			all[i] = newTimer(l, when(i))
		}
		b.ReportAllocs()
		b.ResetTimer()
		return l, all
	}
	inOrder := func(i int) time.Duration { return time.Duration(i) * time.Microsecond }
	random := func(int) time.Duration { return time.Duration(rand.Int64N(int64(time.Hour))) }
	b.Run("add and cancel, random", func(b *testing.B) {
		l, _ := pending(b, random)
		for i := range b.N {
			l.timers.remove(newTimer(l, random(i)))
		}
	})
	b.Run("add and cancel, later than all", func(b *testing.B) {
		l, _ := pending(b, inOrder)
		for range b.N {
			l.timers.remove(newTimer(l, inOrder(million)))
		}
	})
	b.Run("oldest out, newest in", func(b *testing.B) {
		l, all := pending(b, inOrder)
		for i := range b.N {
			l.timers.remove(all[i%million])
			all[i%million] = newTimer(l, inOrder(million+i))
		}
	})
	b.Run("any out, newest in", func(b *testing.B) {
		l, all := pending(b, inOrder)
		for i := range b.N {
			at := rand.IntN(million)
			l.timers.remove(all[at])
			all[at] = newTimer(l, inOrder(million+i))
		}
	})
}

func newTimer(l *Loop, when time.Duration) *TimerHandle {
	h := &TimerHandle{Handle: Handle{loop: l, f: nil}, when: when, index: noTimer}
	l.timers.push(h)
	return h
}
