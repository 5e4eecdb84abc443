// Package loop is the event loop: it makes transports, carries their operations
// out with io_uring or epoll, and calls their protocols.
//
// One loop is one goroutine, locked to one thread, that the loop starts when it
// is first run and ends in Close. All callbacks and all functions given to
// CallSoon, CallLater and CallSoonThreadsafe run there, one at a time.
//
// # Two ways to call it
//
// A method that has to wait, such as CreateServer, takes a context first and blocks
// its caller. On the loop's goroutine, which it would block for ever, it returns
// ErrOnLoop. If the loop is idle, the call runs it until the call is done.
//
// Each has a twin for the loop's goroutine whose name ends in Func. The twin takes the
// same parameters in the same order, and then done, which the loop calls once with the
// results, unless it is closed before. The context means the same to both. Only the
// methods that run or end the loop itself have no twin: RunForever, RunUntilComplete,
// Shutdown and Close.
//
// # Which goroutine
//
// The comment of each method says where it may be called: from any goroutine, from any
// goroutine except the loop's, or on the loop's goroutine. What is for the loop's
// goroutine may also be called by others, one at a time, while the loop is idle; that
// goes for the methods of transports, too. In debug mode such a method panics where
// it is called elsewhere. See Options.Debug.
//
// # Engines
//
// Options.Engine and the environment variable SLUICE_ENGINE choose between
// io_uring and epoll; by default the loop takes io_uring where the kernel has
// all that its fast path needs (Linux 6.1) and allows it, and otherwise epoll,
// which behaves the same. Loop.Why tells which it was and why.
package loop
