package procs

import (
	"runtime"
	"time"
)

// yieldEvery is how long a loop's goroutine may keep its P without entering the
// scheduler. After 10 ms sysmon takes the P away, and does so at every blocking call from
// then on, which costs a third more CPU per message at low load.
const yieldEvery = 5 * time.Millisecond

// Yielder tells the Go scheduler now and then that a loop's goroutine is alive. The
// zero value is ready to use.
type Yielder struct{ last time.Duration }

// Start notes that the loop starts now.
func (y *Yielder) Start(now time.Duration) { y.last = now }

// Yield is called in every turn with the time. It lets other goroutines run if they last
// could long ago.
func (y *Yielder) Yield(now time.Duration) {
	if now-y.last >= yieldEvery {
		y.last = now
		runtime.Gosched()
	}
}
