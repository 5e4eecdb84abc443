package oracletest

import (
	"errors"
	"time"

	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// ErrWouldBlock is returned by a Peer where nothing can be received now.
var ErrWouldBlock = errors.New("oracle: operation would block")

// ErrQuiet is returned by Env.Until when the loop became quiet before the
// condition held.
var ErrQuiet = errors.New("oracle: the loop is quiet and the condition does not hold")

// Env is a loop and a network to run one scenario in: a real loop with real
// sockets, or a simulated one in virtual time. Run calls no function of the
// operating system; it waits through Do, Settle and Until alone.
//
// Serve, Do, Settle, Until and CallSoonThreadsafe are called on the test's
// goroutine; all others, and the methods of Socket, Server and Peer, on the
// loop's. For a scenario whose Kind is IdleLoop the loop must not run, Do,
// Settle and Until are not called, and all is called on the test's goroutine,
// or on the one that is inside RunForever.
type Env interface {
	// Can reports whether a scenario's need can be met: "reset" (Peer.Reset),
	// "unread-reset" (closing a socket with unread input resets it),
	// "arrival-order" (what came on two connections before one turn is delivered in
	// the order in which it came, which nobody promises).
	Can(need string) bool

	// Do runs f in one callback of the loop and returns after it, also where f
	// panics, which the loop reports to its exception handler.
	Do(f func())

	// Settle runs the loop until it is quiet: until nothing more happens unless
	// a peer or the user acts, timers and what they start excepted. Where that
	// cannot be known, as on a real kernel, it runs the loop for some idle turns
	// (16 in record.py), each with a poll: what a peer does over loopback can be
	// polled when its system call returns. Run settles again while that brings
	// events. The error says that the loop never becomes quiet.
	Settle() error

	// Until runs the loop until cond holds. cond is called again and again on
	// the loop's goroutine, between callbacks, and may call methods of a Peer.
	// The error is ErrQuiet when that takes too long: in virtual time when
	// nothing is left to happen, in real time after some seconds.
	Until(cond func() bool) error

	// Pair makes two connected stream sockets. The far one must buffer at least
	// 64 KiB and at most 512 KiB in each direction.
	Pair() (Socket, Peer, error)

	// Serve makes a server on a TCP port of its own choice; with deferred one
	// that does not serve yet.
	Serve(factory protocol.Factory, deferred bool) (Server, error)

	// Connect has the subject connect over TCP to a peer which then returns
	// from accept, or, when refused, to a port where nobody listens. done is
	// called on the loop's goroutine with the result of the create call.
	Connect(p protocol.Protocol, refused bool, done func(error)) (
		accept func() (Peer, error), err error)

	// CallSoon, CallLater and CallAt are the loop's; cancel is the handle's.
	CallSoon(f func()) (cancel func())
	CallLater(d time.Duration, f func()) (cancel func())
	CallAt(when time.Duration, f func()) (cancel func())
	CallSoonThreadsafe(f func())

	// Time is the loop's clock.
	Time() time.Duration

	// OnException sets the loop's exception handler.
	OnException(f func(message string, err error, p transport.BaseProtocol))

	// ErrName names the errors of package loop: RUNNING for running or closing
	// a loop that runs, LOOPCLOSED, SERVERCLOSED; "" for every other.
	ErrName(err error) string

	// RunForever, Stop and CloseLoop are the loop's.
	RunForever() error
	Stop()
	CloseLoop() error
}

// Socket is the subject's end of a pair, not yet given to the loop.
type Socket interface {
	// Attach makes a transport of it. done is called on the loop's goroutine
	// with the result of the create call.
	Attach(p protocol.Protocol, done func(error))
}

// Server is the subject's server.
type Server interface {
	// Dial connects a peer. The error wraps ECONNREFUSED where nobody listens.
	Dial() (Peer, error)

	// Close stops listening; connections stay open.
	Close()

	// CloseClients and AbortClients close and abort every connection.
	CloseClients()
	AbortClients() // see CloseClients

	// StartServing begins to listen where that was deferred.
	StartServing() error

	// IsServing reports whether the server listens.
	IsServing() bool

	// HasSockets reports whether the server listens, or is bound and will.
	HasSockets() bool

	// WaitClosed and ServeForever call done on the loop's goroutine, and never
	// before they have returned.
	WaitClosed(done func(error))
	ServeForever(done func(error))
}

// Peer is the other end of a connection: a raw socket, never one of the loop's
// transports. Its methods never block.
type Peer interface {
	// Send sends what there is room for; n < len(p) is no error.
	Send(p []byte) (n int, err error)

	// Recv receives what is there. Errors: ErrWouldBlock, io.EOF, and those of
	// the kernel.
	Recv(p []byte) (n int, err error)

	// Pending reports, without receiving, what Recv would: "data", "eof" or
	// "empty".
	Pending() (string, error)

	// CloseWrite sends EOF.
	CloseWrite() error

	// Close closes the socket; closing it twice is allowed.
	Close() error

	// Reset closes a TCP socket with RST.
	Reset() error
}
