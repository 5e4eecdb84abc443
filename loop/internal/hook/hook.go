// Package hook opens to the packages below loop what users must not see: package
// loop fills its variables in when it is initialised. A loop is passed as any,
// because package loop imports this one; it is always a *loop.Loop.
package hook

import "github.com/sluice-net/sluice/loop/internal/proactor"

// New makes a *loop.Loop over engine, with options of type *loop.Options or
// nil. The loop owns the engine. It is for loop/looptest.
var New func(engine proactor.Proactor, options any) any

// Attached is what package stream keeps of a loop.
type Attached interface {
	// RunTask is called on the loop's goroutine, in the round after a Post.
	RunTask()

	// LoopClosed is called once when the loop is closed, on whatever goroutine did
	// that, after the last callback of any transport.
	LoopClosed()
}

// Attach returns what is attached to a loop, which the first call makes. On a
// closed loop it returns nil. Any goroutine.
var Attach func(loop any, create func() Attached) Attached

// Post has a.RunTask called in the next round of a loop, as CallSoonThreadsafe does
// with a function, but without an allocation. Nothing is posted to a closed loop.
// Any goroutine.
var Post func(loop any, a Attached)

// OnLoop reports whether the caller is the loop's goroutine. It costs a system call.
var OnLoop func(loop any) bool
