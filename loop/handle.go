package loop

import (
	"errors"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/sluice-net/sluice/protocol"
)

// Handle is a function that has been scheduled.
//
//	pending --run--> done
//	pending --Cancel--> cancelled
type Handle struct {
	loop  *Loop
	f     func()
	made  *origin // where, in debug mode
	state atomic.Uint32
}

const (
	handlePending uint32 = iota
	handleDone
	handleCancelled
)

// Cancel keeps the function from running. It may be called from any goroutine, and more
// than once. If the function has not begun when Cancel returns, it never will.
func (h *Handle) Cancel() { h.state.CompareAndSwap(handlePending, handleCancelled) }

// Cancelled reports whether the function will not run because of Cancel, or
// because the loop was closed. It may be called from any goroutine.
func (h *Handle) Cancelled() bool { return h.state.Load() == handleCancelled }

// A scheduled is a Handle as the loop's queues hold it. It is a type of its own so that
// programs cannot run a Handle.
type scheduled Handle

// task returns what runs the function, without an allocation.
func (h *Handle) task() *scheduled { return (*scheduled)(h) }

// RunTask runs the function, on the loop's goroutine.
func (s *scheduled) RunTask() {
	if !s.state.CompareAndSwap(handlePending, handleDone) {
		return
	}
	defer (*Handle)(s).recovered()
	s.f()
}

func (h *Handle) recovered() {
	r := recover()
	if r == nil {
		return
	}
	err := &protocol.PanicError{Callback: "callback", Value: r, Stack: debug.Stack()}
	h.loop.report(Exception{Message: "Exception in callback", Err: err, Handle: h})
}

// TimerHandle is a function that has been scheduled for a certain time.
type TimerHandle struct {
	Handle
	when          time.Duration
	seq           uint64       // of the timers, by the order in which they were made
	index         int32        // where among the loop's timers
	before, after *TimerHandle // in a lane
}

// dueBefore reports whether h comes before other.
func (h *TimerHandle) dueBefore(other *TimerHandle) bool {
	return h.when < other.when || h.when == other.when && h.seq < other.seq
}

// When returns the time, on the clock of Loop.Time, at which the function is due. It may
// be called from any goroutine.
func (h *TimerHandle) When() time.Duration { return h.when }

// Cancel keeps the function from running, and may be called more than once. Unlike
// Handle.Cancel it is for the loop's goroutine.
func (h *TimerHandle) Cancel() {
	h.loop.check()
	h.Handle.Cancel()
	h.loop.timers.remove(h)
}

// stackOf returns the stack in a *protocol.PanicError.
func stackOf(err error) string {
	var p *protocol.PanicError
	if errors.As(err, &p) {
		return string(p.Stack)
	}
	return ""
}
