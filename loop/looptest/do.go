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
// that has not run yet, for seconds on a busy machine.
const realTimeout = WaitTimeout

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
	waitFor(tb, l, what, timeouts{WaitTimeout, realTimeout}, cond)
}

// Pass lets d pass on the loop's clock while the loop runs, which takes no real time on a
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

// waitFor is WaitFor with other timeouts.
func waitFor(tb testing.TB, l *loop.Loop, what string, limit timeouts, cond func() bool) {
	tb.Helper()
	switch await(l, limit, cond) {
	case expired:
		tb.Fatalf("timed out waiting for %s", what)
	case stuck:
		tb.Fatalf("loop stands still, waiting for %s", what)
	case gone:
		tb.Fatalf("loop closed before %s", what)
	}
}

// timeouts are how long a wait lasts at least, on the loop's clock and on the machine's.
type timeouts struct{ onLoop, onMachine time.Duration }

// outcome says how a wait has ended.
type outcome uint8

const (
	met     outcome = iota // the condition is true
	expired                // it was not before the timeouts
	stuck                  // the loop makes no rounds
	gone                   // the loop is closed
)

// await evaluates cond on the loop's goroutine until it is true or both timeouts
// are over.
func await(l *loop.Loop, limit timeouts, cond func() bool) outcome {
	result := make(chan outcome, 1)
	var deadline time.Duration
	began := time.Now()
	var look func()
	look = func() {
		switch {
		case cond():
			result <- met
		case l.Time() > deadline && time.Since(began) > limit.onMachine:
			result <- expired
		default:
			l.CallLater(interval, look)
		}
	}
	ran := Do(l, func() {
		deadline = l.Time() + limit.onLoop
		look()
	})
	if !ran {
		return gone
	}
	// The margin is for a loop that hangs and cannot give up by itself.
	select {
	case o := <-result:
		return o
	case <-time.After(2 * WaitTimeout):
		return stuck
	}
}
