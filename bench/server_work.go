package main

import (
	"time"

	"github.com/sluice-net/sluice/bench/internal/contest"
	"github.com/sluice-net/sluice/loop"
)

// far is when timers are due that are never to be.
const far = time.Hour

// work returns what does the work of a mode without connections on l. It is called on
// any goroutine but the loop's.
func work(l *loop.Loop, mode contest.Mode) func(time.Duration) int64 {
	post := func(f func()) { l.CallSoonThreadsafe(f) }
	switch mode {
	case contest.Posts:
		return func(d time.Duration) int64 { return contest.Post(d, 1, post) }
	case contest.PostsMany:
		return func(d time.Duration) int64 { return contest.Post(d, contest.PostersMax, post) }
	}
	var timers []*loop.TimerHandle
	onLoop(l, func() {
		for range contest.TimersMax {
			timers = append(timers, l.CallLater(far, nothing))
		}
	})
	oldest := 0
	step := func() { l.CallLater(far, nothing).Cancel() }
	if mode == contest.TimersQueue {
		step = func() {
			timers[oldest].Cancel()
			timers[oldest] = l.CallLater(far, nothing)
			oldest = (oldest + 1) % len(timers)
		}
	}
	return func(d time.Duration) (n int64) {
		onLoop(l, func() { n = contest.Repeat(d, step) })
		return n
	}
}

func nothing() {}

// onLoop calls f on the loop's goroutine and waits for it.
func onLoop(l *loop.Loop, f func()) {
	done := make(chan struct{})
	l.CallSoonThreadsafe(func() {
		f()
		close(done)
	})
	<-done
}
