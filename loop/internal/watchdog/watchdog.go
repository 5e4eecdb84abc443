// Package watchdog finds slow callbacks in debug mode.
package watchdog

import (
	"bytes"
	"runtime"
	"sync"
	"time"
)

// Host is what a watchdog needs of its loop.
type Host interface {
	// Now is the loop's clock.
	Now() time.Duration

	// OnLoop reports whether the caller is the loop's goroutine.
	OnLoop() bool

	// SlowAfter is how long a callback may run.
	SlowAfter() time.Duration

	// Slow is told of a callback that took longer, the callbacks inside it not
	// counted. stack is that of its goroutine when it became slow, or "".
	Slow(name string, of any, took time.Duration, stack string)
}

// Watchdog watches callbacks. A timer that is armed for each callback takes the
// goroutine's stack while the callback is slow: afterwards nobody could tell what
// it was doing.
//
// Callbacks nest: a Write inside DataReceived may call PauseWriting. Each is
// charged for its own time alone.
type Watchdog struct {
	Host    Host       // is told of slow callbacks; set before the first Enter
	running []callback // the innermost last
	own     []byte     // how the stack of the loop's goroutine begins

	mu        sync.Mutex
	timer     *time.Timer
	watch     uint64 // counts what the timer was armed for
	goroutine []byte // whose stack is to be taken
	stack     string // taken during this watch
}

// callback is one that runs.
type callback struct {
	name      string // "" for a task
	of        any
	began     time.Duration
	inner     time.Duration // spent in callbacks inside it
	goroutine []byte        // the beginning of its stack
}

// Enter begins to watch a callback of this goroutine: name of a protocol, or "" for a
// task.
func (w *Watchdog) Enter(name string, of any) {
	c := callback{name: name, of: of, goroutine: w.caller()}
	w.arm(w.Host.SlowAfter(), c.goroutine)
	c.began = w.Host.Now()
	w.running = append(w.running, c)
}

// Leave reports the callback if it was slow, and goes on watching the one that it was
// called in.
func (w *Watchdog) Leave() {
	last := len(w.running) - 1
	c := w.running[last]
	w.running[last] = callback{}
	w.running = w.running[:last]
	took, limit := w.Host.Now()-c.began, w.Host.SlowAfter()
	stack := w.disarm()
	if own := took - c.inner; own >= limit {
		w.Host.Slow(c.name, c.of, own, stack)
	}
	if last > 0 {
		outer := &w.running[last-1]
		outer.inner += took
		w.arm(limit, outer.goroutine)
	}
}

// Outermost is whose callback was called first of those that run, nil where none does.
func (w *Watchdog) Outermost() any {
	if len(w.running) == 0 {
		return nil
	}
	return w.running[0].of
}

// caller is how the stack of this goroutine begins. For the loop's it is found out
// once; an idle loop's callbacks may run on any.
func (w *Watchdog) caller() []byte {
	if !w.Host.OnLoop() {
		return goroutine()
	}
	if w.own == nil {
		w.own = goroutine()
	}
	return w.own
}

// arm sets the timer that takes the stack of a goroutine after d.
func (w *Watchdog) arm(d time.Duration, goroutine []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watch++
	w.goroutine, w.stack = goroutine, ""
	if w.timer == nil {
		w.timer = time.AfterFunc(d, w.capture)
		return
	}
	w.timer.Reset(d)
}

// capture takes the stack, unless the callback ends meanwhile.
func (w *Watchdog) capture() {
	w.mu.Lock()
	watch, goroutine := w.watch, w.goroutine
	w.mu.Unlock()
	if goroutine == nil {
		return
	}
	stack := stackOfGoroutine(goroutine)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.watch == watch {
		w.stack = stack
	}
}

// disarm ends the watch and returns the stack if one was taken.
func (w *Watchdog) disarm() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Stop()
	w.watch++
	w.goroutine = nil
	return w.stack
}

// goroutine returns how the stack of the calling goroutine begins: its number.
func goroutine() []byte {
	var b [64]byte
	n := runtime.Stack(b[:], false)
	end := bytes.IndexByte(b[:n], '[')
	return append([]byte(nil), b[:max(end, 0)]...)
}

// stackMax bounds the memory for the stacks of all goroutines.
const stackMax = 16 << 20

// stackOfGoroutine returns the stack of the goroutine whose stack begins so, ""
// when it is not found.
func stackOfGoroutine(start []byte) string {
	all := make([]byte, 64<<10)
	n := runtime.Stack(all, true)
	for n == len(all) && n < stackMax {
		all = make([]byte, 2*len(all))
		n = runtime.Stack(all, true)
	}
	for stack := range bytes.SplitSeq(all[:n], []byte("\n\n")) {
		if bytes.HasPrefix(stack, start) {
			return string(stack)
		}
	}
	return ""
}
