package fdio

import (
	"net"
	"time"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/protocol"
)

// Stream is a transport over a connected stream socket, or over one direction of a
// pipe (see pipe).
//
// It owns its descriptor: no operation is in flight on it when it is closed, and
// ConnectionLost is called only after the kernel has released every buffer. Its public
// methods are those of transport.Transport.
type Stream struct {
	connection
	out           queue
	writableWatch *writableWatch // of what is sent directly; nil until there is some
	pipe          *pipe          // nil: a socket with both directions
}

// Config configures a transport.
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

// NewStream makes a stream on a connected descriptor, which it owns from now on. The
// protocol's kind must have been checked.
func NewStream(host Host, c Config) *Stream {
	s := &Stream{}
	s.init(host, s, &c)
	if c.Pipe != nil {
		s.pipe = newPipe(s, *c.Pipe)
		s.eof = c.Pipe.Writes
	}
	s.guard.Adopt(c.Protocol)
	return s
}

// Start implements Transport.
func (s *Stream) Start() {
	s.connection.Start()
	s.watchReader()
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

func (s *Stream) kind() string { return "Stream" }

// what says what a stream is over, in asyncio's words.
func (s *Stream) what() string {
	if s.pipe != nil {
		return "pipe"
	}
	return "socket"
}

// Sendable reports whether s is a socket, with both directions: files can be sent over it,
// and it can be relayed.
func (s *Stream) Sendable() bool { return s.pipe == nil }

func (s *Stream) round() {
	s.goOn()
	s.deliverHeld()
}

func (s *Stream) drop() {
	s.dropFDs()
	s.dropSplice()
	s.guard.Releases = s.out.drop(s.host.Chunks(), s.guard.Releases)
	s.stopBackoff()
}

func (s *Stream) cancel() {
	s.unwatchWritable()
	s.unwatchReader()
}

func (s *Stream) busy() bool { return s.watchesWritable() || s.watchesReader() }

func (s *Stream) release() {
	s.guard.Releases = s.out.land(s.host.Chunks(), s.guard.Releases)
}

func (s *Stream) forget() {
	s.connection.forget()
	s.passMode()
}
