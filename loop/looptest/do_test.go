package looptest

import (
	"sync/atomic"
	"testing"
	"time"
)

// What another goroutine does takes real time, and a simulated clock, on which all
// patience may be over by then, does not wait for it.
func TestWaitForWaitsForAnotherGoroutine(t *testing.T) {
	l := New(t, Options{}).Loop
	const patience = 10 * time.Millisecond
	begin := l.Time()
	var asked, done atomic.Bool
	waitFor(t, l, "the other goroutine", patience, func() bool {
		if l.Time()-begin > 2*patience && asked.CompareAndSwap(false, true) {
			go done.Store(true)
		}
		return done.Load()
	})
}
