package loop

import (
	"bytes"
	"fmt"
	"reflect"
	"runtime"
	"sync"
	"time"
)

// watchdog finds slow callbacks in debug mode. A timer that is armed for each
// callback takes the goroutine's stack while the callback is slow: afterwards
// nobody could tell what it was doing.
//
// Callbacks nest: a Write inside DataReceived may call PauseWriting. Each is
// charged for its own time alone.
type watchdog struct {
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

// enter begins to watch a callback of this goroutine.
func (w *watchdog) enter(l *Loop, name string, of any) {
	c := callback{name: name, of: of, goroutine: w.caller(l)}
	w.arm(l.SlowCallbackDuration, c.goroutine)
	c.began = l.engine.Now()
	w.running = append(w.running, c)
}

// leave reports the callback if it was slow, and goes on watching the one that
// it was called in.
func (w *watchdog) leave(l *Loop) {
	last := len(w.running) - 1
	c := w.running[last]
	w.running[last] = callback{}
	w.running = w.running[:last]
	took := l.engine.Now() - c.began
	stack := w.disarm()
	if own := took - c.inner; own >= l.SlowCallbackDuration {
		l.sawSlow(&c, own, stack)
	}
	if last > 0 {
		outer := &w.running[last-1]
		outer.inner += took
		w.arm(l.SlowCallbackDuration, outer.goroutine)
	}
}

// caller is how the stack of this goroutine begins. That of the loop's is found
// out once; an idle loop's callbacks may run on any.
func (w *watchdog) caller(l *Loop) []byte {
	if !l.onLoop() {
		return goroutine()
	}
	if w.own == nil {
		w.own = goroutine()
	}
	return w.own
}

// arm has the stack of a goroutine taken after d.
func (w *watchdog) arm(d time.Duration, goroutine []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watch++
	w.goroutine, w.stack = goroutine, ""
	if w.timer == nil {
		w.timer = time.AfterFunc(d, w.bark)
		return
	}
	w.timer.Reset(d)
}

// bark takes the stack, unless the callback ends meanwhile.
func (w *watchdog) bark() {
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
func (w *watchdog) disarm() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Stop()
	w.watch++
	w.goroutine = nil
	return w.stack
}

// sawSlow reports a slow callback.
func (l *Loop) sawSlow(c *callback, took time.Duration, stack string) {
	l.traceSlow(took)
	name := nameOf(c.of)
	if c.name != "" {
		name = c.name + " of " + name
	}
	attrs := []any{"callback", name, "duration", took}
	if stack != "" {
		attrs = append(attrs, "stack", stack)
	}
	l.logger().Warn(fmt.Sprintf("Executing %s took %.3f seconds", name, took.Seconds()),
		attrs...)
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

// functionName is the name of a function.
func functionName(f func()) string {
	if fn := runtime.FuncForPC(reflect.ValueOf(f).Pointer()); fn != nil {
		return fn.Name()
	}
	return "a function"
}
