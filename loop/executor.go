package loop

import (
	"runtime/debug"

	"github.com/sluice-net/sluice/protocol"
)

// executorMax bounds the functions that RunInExecutor runs at a time: each may
// block a thread.
const executorMax = 64

var executorSlots = make(chan struct{}, executorMax)

// RunInExecutor runs f, which may block, on a goroutine of its own, and then
// calls done on the loop's goroutine with its error; a panic of f is a
// *protocol.PanicError. At most 64 run at a time in a process. done is not
// called when the loop is closed first. It is for the loop's goroutine.
func (l *Loop) RunInExecutor(f func() error, done func(error)) {
	l.check()
	if l.isClosed() {
		return
	}
	l.executing++
	go func() {
		executorSlots <- struct{}{}
		err := runGuarded(f)
		<-executorSlots
		l.CallSoonThreadsafe(func() { l.executed(err, done) })
	}()
}

func (l *Loop) executed(err error, done func(error)) {
	defer l.checkDrained()
	l.executing = max(l.executing-1, 0)
	if done != nil {
		done(err)
	}
}

func runGuarded(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &protocol.PanicError{Callback: "RunInExecutor", Value: r, Stack: debug.Stack()}
		}
	}()
	return f()
}
