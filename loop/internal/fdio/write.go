package fdio

import (
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// The writing half of a stream.
//
//	idle --Write--> dirty --Flush--> in flight --sent, more queued--> in flight
//	                                 in flight --sent, nothing left--> idle
//	in flight | dirty --a file or descriptors are next--> direct, see direct.go
//
// A write is appended to the queue and handed to the engine at the end of the
// round, so that all sends of a round are one system call. Only a write that
// would cross the high mark is offered to the kernel at once: PauseWriting then
// means what it means in asyncio, that the kernel does not take any more.

// Write implements transport.WriteTransport.
func (s *Stream) Write(p []byte) (int, error) {
	s.host.Check()
	if err := s.writable(len(p)); err != nil {
		return 0, err
	}
	if len(p) == 0 {
		return 0, nil
	}
	s.pub.slot.Wrote(len(p))
	n, full := s.sendNow(p)
	switch rest := p[n:]; {
	case full:
		s.out.copyIn(rest, s.host.Chunks())
		s.grew(len(rest))
	case len(rest) > 0:
		s.put(rest)
		s.grew(len(rest))
	}
	return len(p), nil
}

// WriteLines implements transport.WriteTransport.
func (s *Stream) WriteLines(lines [][]byte) error {
	s.host.Check()
	size := 0
	for _, line := range lines {
		size += len(line)
	}
	if err := s.writable(size); err != nil {
		return err
	}
	s.pub.slot.Wrote(size)
	for _, line := range lines {
		s.put(line)
	}
	s.grewNow(size)
	return nil
}

// put queues p: itself if it is a large part of what the loop is delivering and can be
// expected to be sent in this round, otherwise a copy.
func (s *Stream) put(p []byte) {
	chunks := s.host.Chunks()
	if len(p) >= lendMin && s.pipe == nil && s.canSendNow() && !s.flow.Excess(len(p)) {
		if of := chunks.lend(p); of != 0 {
			s.out.borrow(p, of, chunks)
			return
		}
	}
	s.out.copyIn(p, chunks)
}

// WriteOwned implements transport.OwnedWriter.
func (s *Stream) WriteOwned(p []byte, release func()) error {
	s.host.Check()
	if err := s.writable(len(p)); err != nil {
		return err
	}
	if len(p) > 0 {
		s.pub.slot.Wrote(len(p))
		s.out.own(p, release, s.host.Chunks())
		s.grewNow(len(p))
	} else if release != nil {
		s.guard.Releases = append(s.guard.Releases, release)
		s.schedule()
	}
	return nil
}

// writable returns an error if n bytes may not be written.
func (s *Stream) writable(n int) error {
	if s.readsOnly() {
		return transport.ErrReadOnly
	}
	return s.refusal(n)
}

// sendNow offers the queue and then p to the kernel if p would exceed the high mark. It
// returns how many bytes of p were taken, and whether the kernel has no room for the rest.
func (s *Stream) sendNow(p []byte) (n int, full bool) {
	if !s.flow.Excess(len(p)) || !s.canSendNow() {
		return 0, false
	}
	bufs := s.out.gather(s.send.Bufs[:0])
	queued := 0
	for _, b := range bufs {
		queued += len(b)
	}
	if queued == s.flow.Size() && len(bufs) < proactor.IOVMax {
		bufs = append(bufs, p)
	}
	n = s.trySend(bufs)
	if n <= queued {
		s.credit(n)
		return 0, n < queued
	}
	s.credit(queued)
	return n - queued, n-queued < len(p)
}

// grewNow counts n bytes that were queued, after offering the queue to the kernel if they
// would exceed the high mark.
func (s *Stream) grewNow(n int) {
	if s.flow.Excess(n) && s.canSendNow() {
		taken := s.trySend(s.out.gather(s.send.Bufs[:0]))
		s.guard.Releases = s.out.sent(taken, s.host.Chunks(), s.guard.Releases)
		if taken < n { // the kernel has no room for the rest
			s.out.copyLent(s.host.Chunks())
		}
		if len(s.guard.Releases) > 0 {
			s.schedule()
		}
		n = s.lessTaken(n, taken)
	}
	s.grew(n)
}

// canSendNow reports whether nothing written before is in flight and the kernel has room,
// as far as is known.
func (s *Stream) canSendNow() bool {
	return s.state == Open && !s.send.InFlight() && !s.flow.Paused() && s.out.direct == 0
}

// trySend makes one attempt to send bufs, which are in the memory of the send's
// own list. An error ends the stream, later.
func (s *Stream) trySend(bufs [][]byte) int {
	n, err := s.engine.TrySend(s.recv.FD, bufs)
	s.keep(bufs)
	if err != nil {
		s.writeFailed("sendmsg", errnoOf(err))
		return 0
	}
	if n > 0 {
		s.touch()
	}
	return n
}

// keep puts the list of slices away for the next send, unless it is large.
func (s *Stream) keep(bufs [][]byte) {
	clear(bufs)
	s.send.Bufs = bufs[:0]
	if cap(bufs) > bufsKept {
		s.send.Bufs = nil
	}
}

// bufsKept is the longest list of slices that an idle stream keeps.
const bufsKept = 16

// writeFailed ends the stream. On TCP, a receive that failed while reading was paused has
// consumed the socket's error; then that error is the reason, not EPIPE. A Unix socket
// whose peer is gone reports EPIPE in any case (unix_stream_sendmsg looks at the
// shutdown, not at the error).
func (s *Stream) writeFailed(call string, errno syscall.Errno) {
	if !s.isUnix() {
		for _, a := range s.held {
			if a.res < 0 {
				errno = syscall.Errno(-a.res)
			}
		}
	}
	// A receive in flight may have taken the error, too, and be about to say so.
	taken := errno == syscall.EPIPE && s.recv.InFlight() && s.closedByPeer()
	if taken || errno == syscall.EPIPE && s.hidReset() {
		errno = syscall.ECONNRESET
	}
	s.endpoint.writeFailed(s.opError("write", call, errno))
}

// credit removes n queued bytes that the kernel took outside of the send op.
// It cannot resume a protocol: sendNow is used only while it is not paused.
func (s *Stream) credit(n int) {
	s.guard.Releases = s.out.sent(n, s.host.Chunks(), s.guard.Releases)
	s.flow.Shrank(n)
	s.pub.slot.SetBuffered(s.flow.Size())
	if len(s.guard.Releases) > 0 {
		s.schedule()
	}
}

// grew counts n queued bytes and pauses the protocol if they are too many.
func (s *Stream) grew(n int) {
	if s.state > Open {
		s.dropFDs()
		s.guard.Releases = s.out.drop(s.host.Chunks(), s.guard.Releases)
		return
	}
	s.markDirty()
	s.endpoint.grew(n)
}

// Flush hands the queue to the engine. The loop calls it at the end of a round.
func (s *Stream) Flush() {
	s.dirty = false
	s.submitOutput()
	s.out.copyLent(s.host.Chunks())
}

// submitOutput submits what is next, or sends it directly.
func (s *Stream) submitOutput() {
	if s.state >= Lost || s.out.empty() || s.send.InFlight() {
		return
	}
	if s.out.direct > 0 && s.sendDirectly() {
		return
	}
	op := &s.send
	op.Bufs = s.out.gather(op.Bufs[:0])
	s.out.flying = len(op.Bufs)
	op.Code, op.Buf = proactor.SendMsg, nil
	if len(op.Bufs) == 1 {
		op.Code, op.Buf = proactor.Send, op.Bufs[0]
	}
	op.Lazy, s.awaited = s.nobodyWaits(), false
	op.Once = s.out.borrows()
	s.pub.sending(op.Bufs)
	s.engine.Submit(op)
}

// nobodyWaits reports whether the end of the current send changes nothing but a count: no
// state, no further output and no owner of a slice depends on it.
func (s *Stream) nobodyWaits() bool {
	if s.state != Open || s.eofAsked || s.flow.Paused() || s.out.direct > 0 {
		return false
	}
	size := 0
	for i, b := range s.send.Bufs {
		if s.out.chunks[s.out.head+i].release != nil {
			return false
		}
		size += len(b)
	}
	return size == s.flow.Size()
}

// sent handles the completion of the send.
func (s *Stream) sent() {
	op := &s.send
	s.out.flying = 0
	op.Buf = nil
	s.keep(op.Bufs)
	s.pub.page.Sent(s.pub.slot)
	if s.state >= Lost {
		return
	}
	n := int(op.Res)
	switch {
	case op.Once && op.Errno() == syscall.EAGAIN:
		n = 0
	case n < 0:
		s.writeFailed("send", op.Errno())
		return
	default:
		s.touch()
	}
	s.guard.Releases = s.out.sent(n, s.host.Chunks(), s.guard.Releases)
	s.out.copyLent(s.host.Chunks())
	// This comes before the releases, which may write: with the new state set, a write
	// from one could pause a protocol that has not yet been told that it may go on.
	s.shrank(n)
	s.guard.RunReleases()
	s.afterSend()
}

// drained reports whether everything written has been taken by the kernel.
func (s *Stream) drained() bool { return s.out.empty() && !s.send.InFlight() }

// WriteEOF implements transport.WriteTransport. A stream that only writes is closed.
func (s *Stream) WriteEOF() error {
	if s.readsOnly() {
		s.host.Check()
		return transport.ErrReadOnly
	}
	if s.writesOnly() && s.state <= Open {
		s.eofAsked = true
		s.pub.slot.EOFWritten()
		return s.Close()
	}
	return s.connection.WriteEOF()
}

// CanWriteEOF implements transport.WriteTransport.
func (s *Stream) CanWriteEOF() bool { return !s.readsOnly() }
