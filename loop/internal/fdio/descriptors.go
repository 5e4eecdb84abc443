package fdio

import (
	"errors"
	"os"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// Descriptors are sent with the first byte of what they were written with, and
// received together with bytes by recvmsg(2). Only a Unix stream whose protocol
// asks for them pays for that: it is told that there is something to receive and
// then makes the call, instead of having an operation receive.

const pollIn = 0x1 // of poll(2)

// recvSize is the most bytes received together with descriptors.
const recvSize = 64 << 10

// WriteWithFDs implements transport.FDWriter.
func (s *Stream) WriteWithFDs(p []byte, files []*os.File) error {
	s.host.Check()
	if err := s.writable(len(p)); err != nil {
		return err
	}
	if !s.isUnix() {
		return transport.ErrNotUnix
	}
	if len(p) == 0 || len(files) == 0 || len(files) > proactor.FDsMax {
		return s.endpoint.opError("write", "sendmsg", syscall.EINVAL)
	}
	fds := make([]int, 0, len(files))
	for _, f := range files {
		fd, err := s.engine.Duplicate(f)
		if err != nil {
			s.closeFDs(fds)
			return err
		}
		fds = append(fds, fd)
	}
	s.out.add(chunk{buf: append([]byte(nil), p...), direct: &direct{fds: fds}},
		s.host.Chunks())
	s.pub.slot.Wrote(len(p))
	s.grew(len(p))
	return nil
}

// sendFDs sends the first chunk, which has descriptors. With the first byte all of
// them are sent; what is left is like any other bytes.
func (s *Stream) sendFDs(c *chunk) (outcome, int) {
	n, err := s.engine.TrySendFDs(s.recv.FD, c.buf, c.direct.fds)
	if err != nil {
		s.writeFailed("sendmsg", errnoOf(err))
		return outGone, 0
	}
	if n == 0 {
		return outFull, 0
	}
	s.touch()
	fds := c.direct.fds
	c.direct = nil
	s.out.direct--
	s.guard.Releases = s.out.sent(n, s.host.Chunks(), s.guard.Releases)
	s.closeFDs(fds)
	if s.state >= Lost {
		return outGone, n
	}
	s.shrank(n)
	return outGone, n
}

// closeFDs closes duplicates of the user's descriptors.
func (s *Stream) closeFDs(fds []int) {
	for _, fd := range fds {
		s.engine.Discard(fd)
	}
}

// dropFDs closes the descriptors that are queued: the output is dropped.
func (s *Stream) dropFDs() {
	fds := s.QueuedFDs(nil)
	for i := s.out.head; len(fds) > 0 && i < len(s.out.chunks); i++ {
		if d := s.out.chunks[i].direct; d != nil {
			d.fds = nil
		}
	}
	s.closeFDs(fds)
}

// QueuedFDs appends the queued descriptors to fds. The loop closes them when it is
// closed.
func (s *Stream) QueuedFDs(fds []int) []int {
	for i := s.out.head; s.out.direct > 0 && i < len(s.out.chunks); i++ {
		if d := s.out.chunks[i].direct; d != nil {
			fds = append(fds, d.fds...)
		}
	}
	return fds
}

// takesFDs returns the protocol if it takes descriptors that come with bytes.
func (s *Stream) takesFDs() (protocol.FDReceiver, bool) {
	if !s.isUnix() {
		return nil, false
	}
	return s.guard.FDReceiver()
}

// receiveFDs receives bytes and descriptors. It reports false if nothing is there.
func (s *Stream) receiveFDs() bool {
	buf := s.host.Chunks().Get(recvSize)
	defer s.host.Chunks().Put(buf)
	buf = buf[:cap(buf)]
	n, files, lost, err := s.engine.TryRecvFDs(s.recv.FD, buf)
	if errors.Is(err, syscall.EAGAIN) {
		return false
	}
	if err != nil || n == 0 {
		s.engine.Cancel(&s.recv)
		s.endOfInput(-int32(errnoOf(err)))
		return true
	}
	s.pub.slot.Read(n)
	if len(files) > 0 || lost {
		s.giveFDs(files, lost)
	}
	switch {
	case s.state != Open:
	case s.paused:
		s.hold(arrival{received: received{data: buf[:n]}, res: int32(n)})
	default:
		s.pass(buf[:n])
		s.guard.Poison(buf[:n])
	}
	return true
}

// giveFDs gives descriptors to the protocol, or closes them if it has been replaced by
// one that takes none.
func (s *Stream) giveFDs(files []*os.File, lost bool) {
	r, ok := s.takesFDs()
	if ok {
		s.guard.FDsReceived(r, files, lost)
		return
	}
	for _, f := range files {
		s.engine.DiscardFile(f)
	}
}
