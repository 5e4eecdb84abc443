package fdio

import (
	"net"
	"os"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// The events of poll(2) that are reported whatever was asked for.
const (
	pollErr = 0x8
	pollHup = 0x10
)

// PipeConfig configures a one-way stream on a pipe, a FIFO, a terminal or a socket.
type PipeConfig struct {
	Writes  bool // else it reads
	Device  bool // a character device: EIO is a terminal's end of input
	Restore bool // the descriptor is made blocking again before it is closed

	// ModeSuccessor returns another stream on the same open file, or nil if there is
	// none. That stream still needs the mode, and restores it when it ends. If
	// ModeSuccessor is nil, there are no successors.
	ModeSuccessor func(s *Stream) *Stream
}

// A pipe is the additional state of a one-way stream. Such a stream has the same states
// as any other, and ends sooner:
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
	p.reader.Code, p.reader.FD, p.reader.Handler = proactor.Poll, s.recv.FD, p
	return p
}

// Complete implements proactor.Handler for the watch for the reader.
func (p *pipe) Complete(*proactor.Op) {
	p.stream.readerGone()
	p.stream.completed()
}

// OneWay reports whether the stream has only one direction.
func (s *Stream) OneWay() bool { return s.pipe != nil }

func (s *Stream) readsOnly() bool  { return s.pipe != nil && !s.pipe.Writes }
func (s *Stream) writesOnly() bool { return s.pipe != nil && s.pipe.Writes }

// opError returns the *net.OpError of an operation on the stream.
func (s *Stream) opError(op, call string, errno syscall.Errno) error {
	if s.pipe == nil {
		return s.endpoint.opError(op, call, errno)
	}
	return &net.OpError{Op: op, Net: "pipe", Err: os.NewSyscallError(op, errno)}
}

// endsWith reports whether errno means the end of input, not an error: EIO is how Linux
// reports that the other side of a terminal is gone (n_tty_read).
func (s *Stream) endsWith(errno syscall.Errno) bool {
	return s.pipe != nil && s.pipe.Device && errno == syscall.EIO
}

// endOfPipe handles the end of input of a stream that only reads. The transport is
// closing before the protocol is told, and it ends whatever the protocol returns.
func (s *Stream) endOfPipe() {
	s.move(Closing)
	s.guard.EOFReceived()
	s.fail(nil)
}

// watchReader makes the engine tell the writing end of a pipe or socket when its reader
// is gone. As in asyncio, a device is not watched: after a hangup it may come back.
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

// readerGone handles an event on the writing end. What is queued can no longer reach
// anybody.
func (s *Stream) readerGone() {
	op := &s.pipe.reader
	switch {
	case s.state >= Lost || op.Errno() == syscall.ECANCELED:
	case op.Res < 0:
		// It cannot be watched, for lack of memory or of watches (epoll_ctl(2): ENOSPC),
		// so nobody would learn that the reader is gone.
		s.fail(s.opError("poll", "poll", op.Errno()))
	case op.Res&(pollErr|pollHup) == 0:
		s.engine.Cancel(op) // a socket's peer may end its own output
	case s.drained():
		s.guard.Note("pipe was closed by its reader")
		s.fail(nil)
	default:
		s.writeFailed("write", syscall.EPIPE)
	}
}

// passMode restores the mode, or leaves that to another stream that still needs the mode.
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

// RestoreMode makes a shared open file blocking again. A loop that is closed calls it for
// the streams that are still open.
func (s *Stream) RestoreMode() {
	if s.pipe == nil || !s.pipe.Restore {
		return
	}
	if err := s.engine.SetBlocking(s.recv.FD); err != nil {
		s.host.Report(Exception{Message: "Error restoring the mode of a pipe", Err: err,
			Transport: s})
	}
}
