// Package transport defines the transport half of asyncio's low-level contract: the
// interfaces that a loop's transports implement, the water marks of their flow
// control, and the errors that they return.
//
// A transport is an abstraction for a socket (or another byte pipe). It is
// created by the loop, never by the user, and is paired with one protocol,
// which receives its callbacks. The transport decides how bytes travel; the
// protocol decides which bytes to send and what to do with those received.
//
// Nothing here makes a system call, so a program that only implements a protocol
// needs no other part of this module. The package imports nothing else from it.
//
// # Goroutines
//
// Transports are not safe for concurrent use. Every method must be called on the
// goroutine of the transport's loop: from one of the protocol's callbacks or from a
// function passed to CallSoon, CallLater or CallSoonThreadsafe. The same rule
// applies to the functions of this package that take a transport.
package transport
