// Package fdio provides the transports over descriptors: the state machines that turn an
// engine's completions into a protocol's callbacks. It performs no system call itself,
// reads no clock and starts no goroutine, so that it behaves the same on io_uring, on
// epoll and on the simulated kernel.
package fdio
