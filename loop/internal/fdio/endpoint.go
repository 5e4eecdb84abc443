package fdio

import (
	"fmt"
	"net"

	"github.com/sluice-net/sluice/loop/internal/debug"
	"github.com/sluice-net/sluice/loop/internal/guard"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/registry"
	"github.com/sluice-net/sluice/transport"
)

// State is a stage in the life of a transport.
//
//	made --Start--> open --Close | EOF--> closing --drained--> lost --idle--> closed
//	                open --Abort | error---------------------> lost
//	                                      closing --same-----> lost
//	any --the loop is closed, Abandon-------------------------> closed
//
// open: the protocol receives and writes. closing: nothing is received, the
// output drains. lost: the output is dropped and what is in flight is being
// cancelled. closed: ConnectionLost was called, unless the loop was closed before, and the
// descriptor is closed.
type State uint8

// The states.
const (
	Made State = iota
	Open
	Closing
	Lost
	Closed
)

var stateNames = [...]string{"made", "open", "closing", "lost", "closed"}

// String returns the state's name.
func (s State) String() string { return stateNames[s] }

// Transport is a transport over a descriptor, of any kind, as its loop sees it.
type Transport interface {
	transport.ReadTransport
	registry.Transport

	// Start calls ConnectionMade and begins to receive.
	Start()

	// Abort ends the transport at once, without an error.
	Abort()

	// State returns the transport's state.
	State() State

	// Err returns why the transport was lost: the error that ConnectionLost gets.
	Err() error

	// Owner returns the owner, which is told when the transport is lost.
	Owner() Owner

	// Starved is called by the loop to say whether the transport cannot receive for lack
	// of a shared buffer.
	Starved(yes bool)
}

// Connection is a connected Transport: a Stream or a SeqPacket.
type Connection interface {
	Transport
	transport.Transport
}

// NewConnection makes the transport on a connected socket, which it owns from now on. The
// protocol's kind must have been checked.
func NewConnection(host Host, c Config, kind proactor.Kind) Connection {
	if kind == proactor.SeqPacket {
		return NewSeqPacket(host, c)
	}
	return NewStream(host, c)
}

// kind is what a transport adds to the endpoint that it embeds: how it receives and
// sends. The endpoint calls no other methods of it, and has those that are the same for
// most kinds.
type kind interface {
	Transport
	guard.Task
	Flusher
	proactor.Handler

	// kind returns the name that String uses.
	kind() string

	// deliver passes a completion that was held back to the protocol.
	deliver(a arrival)

	// drained reports whether everything written has been taken by the kernel.
	drained() bool

	// drop releases the output, and stops the kind's own timers.
	drop()

	// arm begins to receive unless something prevents it. Most need only submit recv.
	arm()

	// what says what the transport is over, in asyncio's words: "socket" for most.
	what() string

	// round does what had to wait for the next round, unless the transport is lost. For
	// most that is to deliver what was held back.
	round()

	// cancel cancels operations other than the endpoint's two. Most have none.
	cancel()

	// busy reports whether one of those other operations is in flight.
	busy() bool

	// release releases what may have been in flight, before ConnectionLost.
	release()

	// forget is called after ConnectionLost, before the descriptor is closed.
	forget()
}

// endpoint is what all transports over a descriptor have in common: their life, the
// guard of their protocol, the water marks, the pause of reading and what was held back
// meanwhile, timeouts, and what is published of them. A kind embeds it and does the
// receiving and sending.
//
// It owns its descriptor: no operation is in flight on it when it is closed, and
// ConnectionLost is called only after the kernel has released every buffer.
type endpoint struct {
	guard  guard.Guard
	host   Host
	engine proactor.Proactor
	self   kind
	owner  Owner
	extras *extras
	pub    published
	err    error // why it was lost

	state    State
	paused   bool // reading is, by the protocol
	eof      bool // nothing more is received: the peer has ended its output
	eofAsked bool // WriteEOF was called
	eofSent  bool // and FIN is on its way
	awaited  bool // somebody waits for the lazy send in flight
	dirty    bool // on the host's list of flushers
	soon     bool // on the host's list of tasks

	recv proactor.Op // its FD is the endpoint's
	held []arrival   // came while paused, not yet delivered

	send proactor.Op
	flow transport.FlowControl

	local, peer net.Addr
}

// init makes the endpoint of self, which owns the descriptor from now on.
func (e *endpoint) init(host Host, self kind, c *Config) {
	e.guard.Init(host, self)
	e.host, e.engine, e.self, e.owner = host, host.Engine(), self, c.Owner
	e.local, e.peer = c.Local, c.Peer
	e.recv.FD, e.send.FD = c.FD, c.FD
	e.recv.Handler, e.send.Handler = self, self
	if c.WriteCap > 0 || c.IdleTimeout > 0 || c.CloseTimeout > 0 || c.Info != nil {
		e.extras = &extras{info: c.Info, writeCap: c.WriteCap,
			idleTimeout: c.IdleTimeout, closeTimeout: c.CloseTimeout}
	}
	e.pub = publish(host, c.FD, c.Local, e.flow.Limits())
}

func (e *endpoint) what() string { return "socket" }

func (e *endpoint) round() { e.deliverHeld() }

func (e *endpoint) cancel() {}

func (e *endpoint) busy() bool { return false }

func (e *endpoint) release() {}

// move makes a transition and asserts that the state machine has it.
func (e *endpoint) move(to State) {
	debug.Assert(to > e.state, "states only go forward")
	e.state = to
	e.pub.moved(to)
}

// Close implements transport.BaseTransport.
func (e *endpoint) Close() error {
	e.host.Check()
	if e.state > Open {
		return nil
	}
	e.move(Closing)
	e.engine.Cancel(&e.recv)
	e.dropHeld()
	e.watchClose()
	if e.self.drained() {
		e.fail(nil)
	}
	e.awaitSend()
	return nil
}

// Abort implements Transport.
func (e *endpoint) Abort() {
	e.host.Check()
	e.fail(nil)
}

// ResetOnClose makes the close of a TCP socket reset the connection, whatever is in its
// buffers. It must be called before ConnectionLost has returned.
func (e *endpoint) ResetOnClose() {
	if e.guard.Protocol() == nil {
		return // the number may be another's
	}
	// If it fails, the connection is over already.
	_ = e.engine.SetOption(e.recv.FD, proactor.LingerReset, 1)
}

// Fail implements Transport.
func (e *endpoint) Fail(err error) { e.fail(err) }

// fail drops the output and cancels what is in flight. The first reason wins.
func (e *endpoint) fail(err error) {
	if e.state >= Lost {
		return
	}
	e.move(Lost)
	e.err = err
	e.stopTimers()
	e.self.drop()
	e.engine.Cancel(&e.recv)
	e.engine.Cancel(&e.send)
	e.self.cancel()
	e.schedule()
}

// schedule makes the loop call RunTask in the next round.
func (e *endpoint) schedule() {
	if !e.soon {
		e.soon = true
		e.host.Soon(e.self)
	}
}

// RunTask does what must not be done from inside a user's call: it releases
// slices, resumes writing, delivers what was held back, and ends the transport.
func (e *endpoint) RunTask() {
	e.soon = false
	e.guard.RunReleases()
	if e.state < Lost && e.flow.Shrank(0) == transport.Resume {
		e.resumeWriting()
	}
	if e.state == Lost {
		e.finish()
		return
	}
	e.self.round()
}

// completed is called after each completion: it may have been the last one.
func (e *endpoint) completed() {
	if e.state == Lost && !e.soon {
		e.finish()
	}
}

// finish ends a lost transport once nothing is in flight on its descriptor.
func (e *endpoint) finish() {
	if e.state != Lost || e.recv.InFlight() || e.send.InFlight() || e.self.busy() {
		return
	}
	e.end()
}

// Perish implements Transport.
func (e *endpoint) Perish(err error) {
	if e.state == Closed {
		return
	}
	if e.state < Lost {
		e.err = err
		e.stopTimers()
		e.self.drop()
	}
	e.end()
}

// end calls ConnectionLost: nothing is in flight any more, except after Perish.
func (e *endpoint) end() {
	e.move(Closed)
	e.self.release()
	e.held = nil
	e.guard.RunReleases()
	defer e.closeFD()
	e.guard.ConnectionLost(e.err)
}

// closeFD closes the descriptor after ConnectionLost and forgets the protocol. After
// Perish an operation may still be in flight; it keeps its memory reachable, because the
// kernel may still use that.
func (e *endpoint) closeFD() {
	e.guard.Forget()
	if !e.recv.InFlight() {
		e.recv.Buf = nil
	}
	if !e.send.InFlight() {
		e.send.Buf, e.send.Bufs = nil, nil
	}
	e.self.forget()
	if err := e.engine.CloseFD(e.recv.FD); err != nil {
		e.guard.Report("Error closing a "+e.self.what(), err)
	}
	e.owner.Lost(e.self)
}

// On reports whether h is the host.
func (e *endpoint) On(h Host) bool { return e.host == h }

// State implements Transport.
func (e *endpoint) State() State { return e.state }

// Err implements Transport.
func (e *endpoint) Err() error { return e.err }

// FD implements Transport.
func (e *endpoint) FD() int { return e.recv.FD }

// Owner implements Transport.
func (e *endpoint) Owner() Owner { return e.owner }

// IsClosing implements transport.BaseTransport.
func (e *endpoint) IsClosing() bool { return e.state > Open }

// Protocol implements transport.BaseTransport.
func (e *endpoint) Protocol() transport.BaseProtocol { return e.guard.Protocol() }

// String describes the transport as asyncio's repr does.
func (e *endpoint) String() string {
	read, write := "idle", "idle"
	if e.IsReading() {
		read = "polling"
	}
	if e.flow.Size() > 0 {
		write = "polling"
	}
	return fmt.Sprintf("<%s %s fd=%d read=%s write=<%s, bufsize=%d>>",
		e.self.kind(), e.state, e.recv.FD, read, write, e.flow.Size())
}
