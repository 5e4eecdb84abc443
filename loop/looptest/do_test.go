package looptest

import (
	"sync/atomic"
	"testing"
	"time"
)

// What another goroutine does takes real time, and a simulated clock, on which all
// waitTimeout may be over by then, does not wait for it.
func TestWaitForWaitsForAnotherGoroutine(t *testing.T) {
	l := New(t, Options{}).Loop
	const waitTimeout = 10 * time.Millisecond
	limit := timeouts{waitTimeout, realTimeout}
	begin := l.Time()
	var asked, done atomic.Bool
	waitFor(t, l, "the other goroutine", limit, func() bool {
		if l.Time()-begin > 2*waitTimeout && asked.CompareAndSwap(false, true) {
			go done.Store(true)
		}
		return done.Load()
	})
}
