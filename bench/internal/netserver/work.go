package netserver

import (
	"time"

	"github.com/sluice-net/sluice/bench/internal/contest"
)

// far is when timers are due that are never to be.
const far = time.Hour

// postsQueued is how many functions may wait in the channel of the modes Posts and
// PostsMany.
const postsQueued = 1024

// work returns what does the work of a mode without connections, by what Go has.
func work(mode contest.Mode) func(time.Duration) int64 {
	switch mode {
	case contest.Timers:
		newTimers()
		return func(d time.Duration) int64 {
			return contest.Repeat(d, func() { time.AfterFunc(far, nothing).Stop() })
		}
	case contest.TimersQueue:
		timers, oldest := newTimers(), 0
		return func(d time.Duration) int64 {
			return contest.Repeat(d, func() {
				timers[oldest].Stop()
				timers[oldest] = time.AfterFunc(far, nothing)
				oldest = (oldest + 1) % len(timers)
			})
		}
	}
	calls := make(chan func(), postsQueued)
	go func() {
		for f := range calls {
			f()
		}
	}()
	posters := 1
	if mode == contest.PostsMany {
		posters = contest.PostersMax
	}
	return func(d time.Duration) int64 {
		return contest.Post(d, posters, func(f func()) { calls <- f })
	}
}

func nothing() {}

func newTimers() []*time.Timer {
	timers := make([]*time.Timer, contest.TimersMax)
	for i := range timers {
		timers[i] = time.AfterFunc(far, nothing)
	}
	return timers
}

// serveWork says what it can do, and leaves it to others to ask for it.
func serveWork(mode contest.Mode, ready func(contest.Hello)) error {
	ready(contest.Hello{Work: work(mode), Note: "package time, channels", Uncounted: true})
	select {}
}
