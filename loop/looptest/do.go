package looptest

import (
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
)

// WaitTimeout is how long WaitFor waits, on the loop's clock.
const WaitTimeout = 20 * time.Second

// realTimeout is the least time that WaitFor waits, in real time: on a simulated clock
// WaitTimeout is over in less than a second, and the condition may depend on a goroutine
// that has not run yet.
const realTimeout = 5 * time.Second

// interval is how often WaitFor evaluates its condition.
const interval = 100 * time.Microsecond

// Do runs f on the goroutine of l, which must be running, and waits until f has returned.
// It reports whether f was run: if the loop is closed first, it was not.
func Do(l *loop.Loop, f func()) bool {
	done := make(chan struct{})
	h := l.CallSoonThreadsafe(func() {
		defer close(done)
		f()
	})
	for {
		select {
		case <-done:
			return true
		default:
		}
		if h.Cancelled() {
			return false
		}
		select {
		case <-done:
			return true
		case <-time.After(time.Second): // was the loop closed meanwhile?
		}
	}
}

// WaitFor waits until cond is true, and ends the test if that does not happen within
// WaitTimeout. cond is evaluated on the loop's goroutine, at once and then over and over
// between the loop's rounds. what describes the condition, for the error message. Call
// WaitFor on the test's goroutine.
func WaitFor(tb testing.TB, l *loop.Loop, what string, cond func() bool) {
	tb.Helper()
	waitFor(tb, l, what, WaitTimeout, cond)
}

// Pass lets d pass on the loop's clock while the loop runs: no time at all on a
// simulated one. It is for showing that something does not happen.
func Pass(tb testing.TB, l *loop.Loop, d time.Duration) {
	tb.Helper()
	passed := make(chan struct{})
	if !Do(l, func() { l.CallLater(d, func() { close(passed) }) }) {
		tb.Fatalf("loop closed before %v passed", d)
	}
	select {
	case <-passed:
	case <-time.After(d + WaitTimeout):
		tb.Fatalf("loop stands still, waiting for %v to pass", d)
	}
}

// Turns lets the loop make n rounds.
func Turns(l *loop.Loop, n int) {
	for range n {
		Do(l, func() {})
	}
}

// waitFor is WaitFor with another timeout than WaitTimeout.
func waitFor(tb testing.TB, l *loop.Loop, what string, waitTimeout time.Duration,
	cond func() bool) {
	tb.Helper()
	result := make(chan bool, 1)
	var deadline time.Duration
	began := time.Now()
	var look func()
	look = func() {
		switch {
		case cond():
			result <- true
		case l.Time() > deadline && time.Since(began) > realTimeout:
			result <- false
		default:
			l.CallLater(interval, look)
		}
	}
	ran := Do(l, func() {
		deadline = l.Time() + waitTimeout
		look()
	})
	if !ran {
		tb.Fatalf("loop closed before %s", what)
	}
	// The margin is for a loop that hangs and cannot give up by itself.
	select {
	case ok := <-result:
		if !ok {
			tb.Fatalf("timed out waiting for %s", what)
		}
	case <-time.After(2 * WaitTimeout):
		tb.Fatalf("loop stands still, waiting for %s", what)
	}
}
