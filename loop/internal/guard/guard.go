// Package guard calls the user's code: the callbacks of protocols, and functions that
// were passed along with data. Every such call in a transport goes through this package.
// A panic is reported and, in the same cases as in asyncio, ends the transport; in debug
// mode the loop is told how long each call takes.
//
// A callback is guarded by one deferred call and no closure, so that it allocates
// nothing:
//
//	defer g.Leave(g.Enter(dataReceived))
//	g.plain.DataReceived(data)
//
// By measurement that costs 3 to 5 ns per call, a thousandth of the cost of a message.
package guard

import (
	"runtime/debug"
	"sync/atomic"

	checks "github.com/sluice-net/sluice/loop/internal/debug"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// Callback is one of the user's functions.
type Callback struct {
	name    string // of the method
	message string // what is reported when it panics
	fatal   bool   // a panic ends the transport
}

// Fatal returns a callback whose panic ends the transport. name is the name of the
// method, python its name in asyncio.
func Fatal(name, python string) *Callback {
	return &Callback{name, "Fatal error: protocol." + python + "() call failed.", true}
}

// Harmless returns a callback whose panic is reported and has no other effect.
func Harmless(name, message string) *Callback { return &Callback{name, message, false} }

// The callbacks that every protocol has.
var (
	ConnectionMade = Fatal("ConnectionMade", "connection_made")
	connectionLost = Harmless("ConnectionLost",
		"Exception in callback protocol.connection_lost()")
	pauseWriting  = Harmless("PauseWriting", "protocol.pause_writing() failed")
	resumeWriting = Harmless("ResumeWriting", "protocol.resume_writing() failed")
	release       = Harmless("release", "Exception in callback of WriteOwned or Sendfile")
)

// Transport is what has a Guard.
type Transport interface {
	transport.BaseTransport

	// Fail ends the transport: ConnectionLost(err) follows.
	Fail(err error)
}

// Guard calls the callbacks of one transport's protocol. It is for the loop's
// goroutine.
type Guard struct {
	host  Watcher
	debug *atomic.Bool // the host's
	of    Transport
	proto transport.BaseProtocol

	// The protocol of a byte stream or of messages: plain, or buffered when that is
	// not nil. See Adopt.
	plain    protocol.Protocol
	buffered protocol.BufferedProtocol

	// Releases holds the user's functions that are due: see RunReleases.
	Releases  []func()
	releasing bool
}

// Init makes g the guard of a transport.
func (g *Guard) Init(host Watcher, of Transport) {
	g.host, g.debug, g.of = host, host.Debug(), of
}

// Protocol returns the protocol, nil before the first one is set and after Forget.
func (g *Guard) Protocol() transport.BaseProtocol { return g.proto }

// Set makes p the protocol. The Guard itself calls only the methods that every protocol
// has.
func (g *Guard) Set(p transport.BaseProtocol) { g.proto, g.plain, g.buffered = p, nil, nil }

// Forget drops the protocol, after its ConnectionLost.
func (g *Guard) Forget() { g.proto, g.plain, g.buffered = nil, nil, nil }

// Call is a running callback.
type Call struct {
	callback *Callback
	watched  bool // the host was told that it began
}

// Enter is called when a callback begins; Leave must be deferred with its result. In
// debug mode the host is told.
func (g *Guard) Enter(c *Callback) Call {
	if !g.debug.Load() {
		return Call{c, false}
	}
	g.host.Enter(c.name, g.proto)
	return Call{c, true}
}

// Leave ends what Enter began. It must be deferred itself, not called by a deferred
// function, because it recovers from a panic in the callback.
func (g *Guard) Leave(c Call) {
	if c.watched {
		g.host.Leave()
	}
	if r := recover(); r != nil {
		g.caught(r, c.callback)
	}
}

// LeaveWith is like Leave, but reports a panic to the caller in *err instead of ending
// the transport.
func (g *Guard) LeaveWith(c Call, err *error) {
	if c.watched {
		g.host.Leave()
	}
	if r := recover(); r != nil {
		*err = g.report(r, c.callback)
	}
}

// caught handles a panic.
func (g *Guard) caught(r any, c *Callback) {
	if err := g.report(r, c); c.fatal {
		g.of.Fail(err)
	}
}

// Recovered is for a deferred function that recovers by itself: it reports what was
// recovered from, if that is not nil, and returns it as an error.
func (g *Guard) Recovered(r any, c *Callback) error {
	if r == nil {
		return nil
	}
	return g.report(r, c)
}

// report reports a panic and returns it as an error.
func (g *Guard) report(r any, c *Callback) error {
	err := &protocol.PanicError{Callback: c.name, Value: r, Stack: debug.Stack()}
	g.Report(c.message, err)
	return err
}

// Report passes what the protocol did wrong to the exception handler.
func (g *Guard) Report(message string, err error) {
	g.host.Report(Exception{Message: message, Err: err, Transport: g.of, Protocol: g.proto})
}

// ConnectionLost calls the protocol's ConnectionLost.
func (g *Guard) ConnectionLost(err error) {
	defer g.Leave(g.Enter(connectionLost))
	g.proto.ConnectionLost(err)
}

// PauseWriting calls the protocol's PauseWriting.
func (g *Guard) PauseWriting() {
	defer g.Leave(g.Enter(pauseWriting))
	g.proto.PauseWriting()
}

// ResumeWriting calls the protocol's ResumeWriting.
func (g *Guard) ResumeWriting() {
	defer g.Leave(g.Enter(resumeWriting))
	g.proto.ResumeWriting()
}

// Note logs an event in debug mode.
func (g *Guard) Note(event string, attrs ...any) {
	if g.debug.Load() {
		g.host.Note(event, g.of, attrs...)
	}
}

// Poison overwrites bytes that a protocol has seen and must not look at again, in debug
// mode and in checked builds.
func (g *Guard) Poison(data []byte) {
	if g.Strict() {
		checks.Overwrite(data)
	}
}

// Strict reports whether mistakes of the protocol are looked for that cost time to find:
// in debug mode and in checked builds.
func (g *Guard) Strict() bool { return checks.On || g.debug.Load() }
