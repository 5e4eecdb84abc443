// Package loop provides the event loop: it makes transports, performs their I/O with
// io_uring or epoll, and calls their protocols.
//
// A loop has one goroutine, locked to one thread. It starts when the loop is first run
// and ends in Close. All callbacks and all functions given to CallSoon, CallLater and
// CallSoonThreadsafe run there, one at a time.
//
// # Two ways to call it
//
// A method that has to wait, such as CreateServer, takes a context as its first argument
// and blocks its caller. On the loop's goroutine it would block forever, so it returns
// ErrOnLoop there. If the loop is idle, the method runs it until the method is done.
//
// Each such method has a twin for the loop's goroutine, whose name ends in Func. The twin
// takes the same parameters in the same order, followed by done, which the loop calls
// once with the results, unless the loop is closed first. The context means the same in
// both. Only the methods that run or end the loop itself have no twin: RunForever,
// RunUntilComplete, Shutdown and Close.
//
// # Which goroutine
//
// The comment of each method says where it may be called: from any goroutine, from any
// goroutine except the loop's, or on the loop's goroutine. A method that is for the
// loop's goroutine may also be called from others, one at a time, while the loop is idle;
// that goes for the methods of transports, too. In debug mode such a method panics if it
// is called on the wrong goroutine. See Options.Debug.
//
// # Engines
//
// Options.Engine and the environment variable SLUICE_ENGINE choose between io_uring and
// epoll. By default the loop uses io_uring if the kernel allows it and has everything
// that the fast path needs (Linux 6.1). Otherwise it uses epoll, which behaves the same.
// Loop.Why says which one was chosen and why.
package loop
