package procs

import (
	"runtime"
	"time"
)

// yieldEvery is how long a loop's goroutine may keep its P without entering the
// scheduler. After 10 ms sysmon takes the P away, and does so at every blocking call from
// then on, which costs a third more CPU per message at low load.
const yieldEvery = 5 * time.Millisecond

// lookEvery is how often a running loop looks whether somebody has changed GOMAXPROCS,
// which takes a lock of the scheduler.
const lookEvery = time.Second

// Yielder tells the Go scheduler now and then that a loop's goroutine is alive. The
// zero value is ready to use.
type Yielder struct {
	last   time.Duration
	looked time.Duration // when GOMAXPROCS was looked at last
}

// Start notes that the loop starts now.
func (y *Yielder) Start(now time.Duration) { y.last, y.looked = now, now }

// Yield is called in every turn with the time. It lets other goroutines run if they last
// could long ago, and looks now and then whether somebody has changed GOMAXPROCS.
func (y *Yielder) Yield(now time.Duration) {
	if now-y.last < yieldEvery {
		return
	}
	y.last = now
	runtime.Gosched()
	if now-y.looked >= lookEvery {
		y.looked = now
		look()
	}
}
