package fdio

import (
	"net"
	"os"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// The events of poll(2) that are told whatever was asked for.
const (
	pollErr = 0x8
	pollHup = 0x10
)

// PipeConfig makes a stream of one direction: of a pipe, a FIFO, a terminal, or a
// socket.
type PipeConfig struct {
	Writes  bool // else it reads
	Device  bool // a character device: EIO is a terminal's end of input
	Restore bool // the descriptor is made blocking again before it is closed

	// ModeSuccessor returns another stream of the same open file, nil if there is none: it
	// needs the mode still, and restores it when it ends. Nil: nobody has an successor.
	ModeSuccessor func(s *Stream) *Stream
}

// pipe is what a stream of one direction has besides. Such a stream has the states
// of every other, and ends sooner:
//
//	reads:  open --EOF--> closing --EOFReceived--> lost, whatever that returns
//	writes: open --WriteEOF--> closing --drained--> lost
//	        open | closing --the reader is gone--> lost
type pipe struct {
	PipeConfig
	stream *Stream
	reader proactor.Op // writes: watches for the reader to go
}

func newPipe(s *Stream, c PipeConfig) *pipe {
	p := &pipe{PipeConfig: c, stream: s}
	p.reader.Code, p.reader.FD, p.reader.Handler = proactor.Poll, s.fd, p
	return p
}

// Complete implements proactor.Handler for the watch for the reader.
func (p *pipe) Complete(*proactor.Op) {
	p.stream.readerGone()
	p.stream.completed()
}

// OneWay reports whether the stream has one direction only.
func (s *Stream) OneWay() bool { return s.pipe != nil }

func (s *Stream) readsOnly() bool  { return s.pipe != nil && !s.pipe.Writes }
func (s *Stream) writesOnly() bool { return s.pipe != nil && s.pipe.Writes }

// opError is the *net.OpError of an operation on the stream.
func (s *Stream) opError(op, call string, errno syscall.Errno) error {
	if s.pipe == nil {
		return s.endpoint.opError(op, call, errno)
	}
	return &net.OpError{Op: op, Net: "pipe", Err: os.NewSyscallError(op, errno)}
}

// endsWith reports whether errno is the end of input and no error: EIO is how
// Linux says that the other side of a terminal is gone (n_tty_read).
func (s *Stream) endsWith(errno syscall.Errno) bool {
	return s.pipe != nil && s.pipe.Device && errno == syscall.EIO
}

// endOfPipe is the end of input where there is nothing but input. The transport is
// closing before the protocol hears of it, and whatever that says it ends.
func (s *Stream) endOfPipe() {
	s.move(Closing)
	s.guard.EOFReceived()
	s.fail(nil)
}

// watchReader has the writing end of a pipe or socket told that nobody reads any
// more. As in asyncio, a device is not watched: what hung up may come back.
func (s *Stream) watchReader() {
	if s.writesOnly() && !s.pipe.Device && s.state < Lost {
		s.engine.Submit(&s.pipe.reader)
	}
}

func (s *Stream) unwatchReader() {
	if s.pipe != nil {
		s.engine.Cancel(&s.pipe.reader)
	}
}

func (s *Stream) watchesReader() bool { return s.pipe != nil && s.pipe.reader.InFlight() }

// readerGone takes an event of the writing end. What is queued can reach nobody.
func (s *Stream) readerGone() {
	op := &s.pipe.reader
	switch {
	case s.state >= Lost || op.Errno() == syscall.ECANCELED:
	case op.Res < 0:
		// It cannot be watched, for want of memory or of watches (epoll_ctl(2): ENOSPC):
		// that the reader has gone would be told to nobody.
		s.fail(s.opError("poll", "poll", op.Errno()))
	case op.Res&(pollErr|pollHup) == 0:
		s.engine.Cancel(op) // a socket's peer has ended its own output, which is its affair
	case s.drained():
		s.guard.Note("pipe was closed by its reader")
		s.fail(nil)
	default:
		s.writeFailed("write", syscall.EPIPE)
	}
}

// passMode restores the mode, or leaves that to another stream that needs it.
func (s *Stream) passMode() {
	if s.pipe == nil || !s.pipe.Restore {
		return
	}
	if s.pipe.ModeSuccessor != nil {
		if successor := s.pipe.ModeSuccessor(s); successor != nil {
			successor.pipe.Restore = true
			return
		}
	}
	s.RestoreMode()
}

// RestoreMode makes blocking again what others share. A loop that is closed calls it
// for the streams that it leaves open.
func (s *Stream) RestoreMode() {
	if s.pipe == nil || !s.pipe.Restore {
		return
	}
	if err := s.engine.SetBlocking(s.fd); err != nil {
		s.host.Report(Exception{Message: "Error restoring the mode of a pipe", Err: err,
			Transport: s})
	}
}
