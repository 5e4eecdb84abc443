package fdio

import (
	"syscall"
	"time"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// direct is a part of the output that is sent by a call of its own instead of by
// an operation: a file, the bytes of its chunk with descriptors, or what is in the
// pipe of a relay. Such a call
// has done what it says when it returns, so that at any time it is known which
// bytes were sent: a file can be given up without losing a byte or sending one
// twice.
type direct struct {
	file   *File
	splice *Splice
	fds    []int // the stream's own; sent with the first byte
}

// writableWatch watches for room in the kernel's buffers.
//
//	idle --outFull--> watching --onWritable: the output goes on--> watching
//	                  watching --anything else is next--> cancelling --> idle
//	                  watching --told in vain--> backing off --sendBackoff--> idle
//
// backing off: the watch reports something other than room. An error is reported as an
// event whatever was asked for. If it is in the error queue, as the timestamps of sent
// data are, it is reported until the socket's owner reads it there.
type writableWatch struct {
	stream  *Stream
	op      proactor.Op
	told    bool  // the watch is being followed
	backoff Timer // nil: it does not back off
}

// sendBackoff is how long a stream backs off.
const sendBackoff = 5 * time.Millisecond

// Complete implements proactor.Handler.
func (w *writableWatch) Complete(*proactor.Op) {
	w.stream.onWritable()
	w.stream.completed()
}

// An outcome says how far a direct part of the output got.
type outcome uint8

const (
	outGone       outcome = iota // it is sent, the next may follow
	outYields                    // it has had its turn
	outFull                      // the kernel has no room
	outPrefetches                // it is being read from its disk
	outForSend                   // it is not direct: an operation sends it
)

// The most that a stream sends directly in a round, and in one call. While it does,
// nobody else is served: for about a millisecond, if the peer reads that fast (decision
// 0012). The runtime can stop the world between two calls.
const (
	directMax  = 4 << 20
	directStep = 1 << 20
)

// sendDirectly sends what is next, as Flush does. It reports whether the output is taken
// care of; if not, an operation has to send what is next.
func (s *Stream) sendDirectly() bool {
	if s.watchesWritable() && !s.writableWatch.op.Cancelling() && !s.out.nothingNext() {
		return true
	}
	return s.pumpDirect()
}

// pumpDirect sends what the kernel takes. Callbacks may write more meanwhile,
// close or abort.
func (s *Stream) pumpDirect() bool {
	budget, moved := directMax, false
	s.pub.page.Sent(s.pub.slot)
	for s.state < Lost && !s.out.empty() {
		out, n := outYields, 0
		if budget > 0 {
			out, n = s.sendFirst(budget)
		}
		budget -= n
		moved = moved || n > 0 || out == outGone
		if out == outFull && !moved && s.writableWatch != nil && s.writableWatch.told {
			s.backOff()
		}
		if out != outGone {
			s.await(out)
			return out != outForSend
		}
	}
	s.unwatchWritable()
	s.afterSend()
	return true
}

// sendFirst sends the first chunk, no more than budget bytes if it is a file.
func (s *Stream) sendFirst(budget int) (outcome, int) {
	c := &s.out.chunks[s.out.head]
	switch {
	case c.direct == nil && (s.out.direct == 0 || s.flow.Paused()):
		return outForSend, 0
	case c.direct == nil:
		return s.sendBefore()
	case c.direct.file != nil:
		return s.sendFile(c.direct.file, budget)
	case c.direct.splice != nil:
		return c.direct.splice.sendQueued()
	default:
		return s.sendFDs(c)
	}
}

// sendBefore sends bytes in front of something direct, so that the head of a
// message and the file that is its body need one round.
func (s *Stream) sendBefore() (outcome, int) {
	bufs := s.out.gather(s.send.Bufs[:0])
	size := 0
	for _, b := range bufs {
		size += len(b)
	}
	n := s.trySend(bufs)
	if s.state >= Lost {
		return outGone, 0
	}
	s.credit(n)
	if n < size {
		return outForSend, n
	}
	return outGone, n
}

// popDirect releases the first chunk.
func (s *Stream) popDirect() {
	s.guard.Releases = s.out.pop(s.host.Chunks(), s.guard.Releases)
	s.out.compact(s.host.Chunks())
	s.schedule()
}

// await arranges for the output to continue when that is possible again.
func (s *Stream) await(out outcome) {
	switch {
	case out == outFull:
		s.pub.page.Sending(s.pub.slot, s.nextSize())
		s.watchWritable()
	case out != outYields:
		s.unwatchWritable()
	case !s.watchesWritable() || s.writableWatch.op.Cancelling():
		s.schedule()
	}
}

// nextSize returns how many bytes are next.
func (s *Stream) nextSize() int {
	c := &s.out.chunks[s.out.head]
	if c.direct != nil && c.direct.file != nil {
		return int(min(c.direct.file.Left, directMax))
	}
	if c.direct != nil && c.direct.splice != nil {
		return c.direct.splice.inside
	}
	return len(c.buf)
}

// goOn continues the output after others have had their turn.
func (s *Stream) goOn() {
	if !s.out.empty() {
		s.markDirty()
	}
}

// watchWritable makes the engine call onWritable when there is room. If the watch is
// being cancelled, it waits for the end of that first.
func (s *Stream) watchWritable() {
	if s.writableWatch == nil {
		s.writableWatch = &writableWatch{stream: s}
		op := &s.writableWatch.op
		op.Code, op.Mask, op.FD, op.Handler = proactor.Poll, pollOut, s.recv.FD, s.writableWatch
	}
	if !s.writableWatch.op.InFlight() && s.writableWatch.backoff == nil {
		s.engine.Submit(&s.writableWatch.op)
	}
}

// backOff makes the stream check for room by itself later.
func (s *Stream) backOff() {
	s.unwatchWritable()
	s.writableWatch.backoff = s.host.After(sendBackoff, func() {
		s.writableWatch.backoff = nil
		s.goOn()
	})
}

// watchesWritable reports whether the watch is in flight.
func (s *Stream) watchesWritable() bool {
	return s.writableWatch != nil && s.writableWatch.op.InFlight()
}

// unwatchWritable ends the watch, which would report room again and again.
func (s *Stream) unwatchWritable() {
	if s.watchesWritable() {
		s.engine.Cancel(&s.writableWatch.op)
	}
	s.stopBackoff()
}

func (s *Stream) stopBackoff() {
	if s.writableWatch != nil && s.writableWatch.backoff != nil {
		s.writableWatch.backoff.Cancel()
		s.writableWatch.backoff = nil
	}
}

// onWritable handles a completion of the watch.
func (s *Stream) onWritable() {
	op := &s.writableWatch.op
	switch {
	case s.state >= Lost || op.More && op.Cancelling():
	case op.More && s.send.InFlight():
		s.unwatchWritable() // its completion goes on with the output
	case op.More:
		s.writableWatch.told = true
		pumped := s.pumpDirect()
		s.writableWatch.told = false
		if !pumped {
			s.markDirty()
		}
	case op.Res < 0 && op.Errno() != syscall.ECANCELED:
		s.writeFailed("poll", op.Errno())
	default:
		s.goOn()
	}
}

// nothingNext reports whether the first chunk is a file with nothing left.
func (q *queue) nothingNext() bool {
	d := q.chunks[q.head].direct
	return d != nil && d.file != nil && d.file.Left == 0
}

// whyLost returns the reason why a stream did not send what it had accepted.
func (s *Stream) whyLost() error {
	if s.err != nil {
		return s.err
	}
	return transport.ErrClosed
}
