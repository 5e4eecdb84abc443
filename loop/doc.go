// Package loop is the event loop: it makes transports, carries their operations
// out with io_uring or epoll, and calls their protocols.
//
// One loop is one goroutine, locked to one thread, that the loop starts when it
// is first run and ends in Close. All callbacks and all functions given to
// CallSoon, CallLater and CallSoonThreadsafe run there, one at a time.
//
// # Two ways to call it
//
// Methods that have to wait, such as CreateServer, block their caller and may be
// called from any goroutine but the loop's, where they return ErrOnLoop. When
// the loop is idle such a call runs it until the call is done. Each has a twin
// whose name ends in Func, for the loop's goroutine, that takes a function to
// be called on the loop when it is done.
//
// Transports, Stop excepted, and the scheduling methods other than
// CallSoonThreadsafe are for the loop's goroutine, or for any single goroutine
// while the loop is idle.
//
// # Engines
//
// Options.Engine and the environment variable SLUICE_ENGINE choose between
// io_uring and epoll; by default the loop takes io_uring where the kernel has
// all that its fast path needs (Linux 6.1) and allows it, and otherwise epoll,
// which behaves the same. Loop.Why tells which it was and why.
package loop
