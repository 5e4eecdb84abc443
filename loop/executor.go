package loop

import (
	"runtime/debug"

	"github.com/sluice-net/sluice/protocol"
)

// executorMax limits how many functions RunInExecutor runs at a time, because each may
// block a thread.
const executorMax = 64

var executorSlots = make(chan struct{}, executorMax)

// RunInExecutor runs f, which may block, on a goroutine of its own, and then calls done
// on the loop's goroutine with the error of f; a panic in f becomes a
// *protocol.PanicError. At most 64 functions run at a time in a process. done is not
// called if the loop is closed first. It is for the loop's goroutine.
func (l *Loop) RunInExecutor(f func() error, done func(error)) {
	l.check()
	if l.isClosed() {
		return
	}
	e := &execution{loop: l, done: done}
	l.open.Add(e)
	go func() {
		executorSlots <- struct{}{}
		err := runGuarded(f)
		<-executorSlots
		l.CallSoonThreadsafe(func() { e.ended(err) })
	}()
}

// An execution is a function that runs on another goroutine, as an open resource of the
// loop.
//
//	running --ended | Fail--> gone
type execution struct {
	loop *Loop
	done func(error)
	gone bool
}

func (e *execution) ended(err error) {
	defer e.leave()
	if e.done != nil {
		e.done(err)
	}
}

func (e *execution) leave() {
	e.gone = true
	e.loop.remove(e)
}

// Close implements registry.Resource: the function may end by itself.
func (e *execution) Close() error { return nil }

// Fail implements registry.Resource: the loop no longer waits for the function.
func (e *execution) Fail(error) { e.leave() }

// Descriptors implements registry.Resource.
func (e *execution) Descriptors(fds []int) []int { return fds }

// Abandon implements registry.Resource.
func (e *execution) Abandon() {}

// Gone implements registry.Resource.
func (e *execution) Gone() bool { return e.gone }

func runGuarded(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &protocol.PanicError{Callback: "RunInExecutor", Value: r, Stack: debug.Stack()}
		}
	}()
	return f()
}
