package fdio

import (
	"fmt"
	"net"
	"time"

	"github.com/sluice-net/sluice/loop/internal/debug"
	"github.com/sluice-net/sluice/loop/internal/guard"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// State is where a stream is in its life.
//
//	made --Start--> open --Close | EOF--> closing --drained--> lost --idle--> closed
//	                open --Abort | error---------------------> lost
//	                                      closing --same-----> lost
//
// open: the protocol receives and writes. closing: nothing is received, the
// output drains. lost: the output is dropped and what is in flight is being
// cancelled. closed: ConnectionLost was called and the descriptor is closed.
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

// Stream is a transport over a connected stream socket, or over one direction of a
// pipe (see pipe).
//
// It owns its descriptor: no operation is in flight on it when it is closed,
// and ConnectionLost is called only after the kernel has let go of every
// buffer. Its public methods are those of transport.Transport.
type Stream struct {
	guard  guard.Guard
	host   Host
	engine proactor.Proactor
	owner  Owner
	extras *extras
	pub    published
	fd     int
	state  State
	err    error // why it was lost

	reading       reading
	recv          proactor.Op
	flow          transport.FlowControl
	out           queue
	send          proactor.Op
	writableWatch *writableWatch // of what is sent directly; nil until there is some

	pipe     *pipe // nil: a socket with both directions
	eofAsked bool  // WriteEOF was called
	eofSent  bool  // and FIN is on its way
	dirty    bool  // on the host's list of flushers
	awaited  bool  // somebody waits for the lazy send in flight
	soon     bool  // on the host's list of tasks
	sentFile bool  // sendfile(2) was called

	local, peer net.Addr
}

// extras is what few streams have.
type extras struct {
	info         map[string]any
	writeCap     int
	idleTimeout  time.Duration
	closeTimeout time.Duration
	closeTimer   Timer
	idleTimer    Timer
	active       bool // since the idle timer last looked
}

// Config is what a stream is made of.
type Config struct {
	FD           int               // connected
	Protocol     protocol.Protocol // of a kind that guard.CheckProtocol takes
	Owner        Owner
	Local, Peer  net.Addr
	Info         map[string]any // more for ExtraInfo, or nil
	WriteCap     int            // most bytes buffered; 0: no limit
	IdleTimeout  time.Duration  // 0: none
	CloseTimeout time.Duration  // 0: none
	Pipe         *PipeConfig    // nil: a socket with both directions
}

// NewStream makes a stream of a connected descriptor, which it owns from now
// on. The protocol's kind must have been checked.
func NewStream(host Host, c Config) *Stream {
	s := &Stream{host: host, engine: host.Engine(), owner: c.Owner, fd: c.FD,
		local: c.Local, peer: c.Peer}
	s.guard.Init(host, s)
	s.recv.FD, s.send.FD = c.FD, c.FD
	s.recv.Handler, s.send.Handler = s, s
	if c.WriteCap > 0 || c.IdleTimeout > 0 || c.CloseTimeout > 0 || c.Info != nil {
		s.extras = &extras{info: c.Info, writeCap: c.WriteCap,
			idleTimeout: c.IdleTimeout, closeTimeout: c.CloseTimeout}
	}
	if c.Pipe != nil {
		s.pipe = newPipe(s, *c.Pipe)
	}
	s.guard.Adopt(c.Protocol)
	s.pub = publish(host, c.FD, c.Local, s.flow.Limits())
	return s
}

// Start calls ConnectionMade and begins to read.
func (s *Stream) Start() {
	s.move(Open)
	s.watchIdle()
	if err := s.guard.ConnectionMade(s); err != nil {
		s.fail(err)
	}
	s.arm()
	s.watchReader()
}

// move makes a transition and asserts that the automaton has it.
func (s *Stream) move(to State) {
	debug.Assert(to > s.state, "stream states only go forward")
	s.state = to
	s.pub.moved(to)
}

// Close implements transport.BaseTransport.
func (s *Stream) Close() error {
	s.host.Check()
	if s.state > Open {
		return nil
	}
	s.move(Closing)
	s.engine.Cancel(&s.recv)
	s.watchClose()
	if s.drained() {
		s.fail(nil)
	}
	s.awaitSend()
	return nil
}

// Abort implements transport.WriteTransport.
func (s *Stream) Abort() {
	s.host.Check()
	s.fail(nil)
}

// Fail ends the stream as an I/O error does: output is dropped and
// ConnectionLost(err) follows.
func (s *Stream) Fail(err error) { s.fail(err) }

// fail drops the output and cancels what is in flight. The first reason wins.
func (s *Stream) fail(err error) {
	if s.state >= Lost {
		return
	}
	s.move(Lost)
	s.err = err
	s.stopTimers()
	s.dropFDs()
	s.guard.Releases = s.out.drop(s.host.Chunks(), s.guard.Releases)
	s.engine.Cancel(&s.recv)
	s.engine.Cancel(&s.send)
	s.unwatchWritable()
	s.unwatchReader()
	s.schedule()
}

// schedule has RunTask called in the next round.
func (s *Stream) schedule() {
	if !s.soon {
		s.soon = true
		s.host.Soon(s)
	}
}

// RunTask does what must not be done from inside a user's call: it releases
// slices, resumes writing, delivers what was held back, and ends the stream.
func (s *Stream) RunTask() {
	s.soon = false
	s.guard.RunReleases()
	if s.state < Lost && s.flow.Shrank(0) == transport.Resume {
		s.resumeWriting()
	}
	if s.state == Lost {
		s.finish()
		return
	}
	s.goOn()
	s.deliverHeld()
}

// finish ends a lost stream once nothing is in flight on its descriptor.
func (s *Stream) finish() {
	if s.state != Lost || s.busy() {
		return
	}
	s.move(Closed)
	s.guard.Releases = s.out.land(s.host.Chunks(), s.guard.Releases)
	s.reading.held = nil
	s.guard.RunReleases()
	defer s.release()
	s.guard.ConnectionLost(s.err)
}

// release closes the descriptor after ConnectionLost and forgets the protocol.
func (s *Stream) release() {
	s.guard.Forget()
	s.recv.Buf, s.send.Buf = nil, nil
	s.passMode()
	if err := s.engine.CloseFD(s.fd); err != nil {
		s.host.Report(Exception{Message: "Error closing a " + s.what(), Err: err, Transport: s})
	}
	s.owner.Lost(s)
}

// busy reports whether an operation is in flight on the descriptor.
func (s *Stream) busy() bool {
	return s.recv.InFlight() || s.send.InFlight() || s.watchesWritable() || s.watchesReader()
}

// Complete implements proactor.Handler. The watches have handlers of their own.
func (s *Stream) Complete(op *proactor.Op) {
	if op == &s.recv {
		s.received()
	} else {
		s.sent()
	}
	s.completed()
}

// completed is called after each completion: it may have been the last one.
func (s *Stream) completed() {
	if !s.soon {
		s.finish()
	}
}

// On reports whether h is the host.
func (s *Stream) On(h Host) bool { return s.host == h }

// State is where the stream is in its life.
func (s *Stream) State() State { return s.state }

// IsClosing implements transport.BaseTransport.
func (s *Stream) IsClosing() bool { return s.state > Open }

// Protocol implements transport.BaseTransport.
func (s *Stream) Protocol() transport.BaseProtocol { return s.guard.Protocol() }

// String describes the stream as asyncio's repr does.
func (s *Stream) String() string {
	read, write := "idle", "idle"
	if s.IsReading() {
		read = "polling"
	}
	if s.flow.Size() > 0 {
		write = "polling"
	}
	return fmt.Sprintf("<Stream %s fd=%d read=%s write=<%s, bufsize=%d>>",
		s.state, s.fd, read, write, s.flow.Size())
}

// FD is the descriptor. It is not the stream's any more once that is closed.
func (s *Stream) FD() int { return s.fd }

// Owner is who is told when the stream is lost.
func (s *Stream) Owner() Owner { return s.owner }

// Err is why the stream was lost: what ConnectionLost gets.
func (s *Stream) Err() error { return s.err }
