package fdio

import (
	"errors"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// Splice moves what one stream receives to another one, through a pipe in the kernel, so
// that the bytes do not pass through the program. It is one direction of a relay.
//
// Small amounts are copied instead: a receive into the loop's buffers and a send need no
// system call of their own, and cost less than two splices and a poll.
//
//	copying --a receive of spliceFrom or more--> empty
//	empty --few bytes, several times; no splice(2)--> copying
//	empty --from can be received from--> filled --all of it sent--> empty
//	                                     filled --no room, or others are first--> queued
//	empty --no pipe is left--> empty, and what was received is copied
//	queued --all of it sent--> empty
//	any --to is lost--> discarded
//
// copying: from receives as always, and its protocol writes to to. empty: from is polled,
// and there is no pipe. filled: only inside move. queued: the pipe is a chunk of to's
// output, and from is not received from.
type Splice struct {
	owner    SpliceOwner
	from, to *Stream
	most     int // bytes in the pipe
	bulk     bool
	few      int // times in a row that few bytes were moved
	vain     int // times in a row that nothing was received though a poll had said so
	backoff  Timer

	direct direct // its place in to's output
	pipe   proactor.SplicePipe
	piped  bool // pipe is in use
	inside int  // bytes in it
}

// SpliceOwner is told by a Splice what it does.
type SpliceOwner interface {
	// Room returns how many bytes may be received, at least one.
	Room() int64

	// Received is told that n bytes were received, and reports whether they may be
	// passed on. If not, they are dropped.
	Received(n int) bool

	// Passed is told that the kernel has taken n bytes to send.
	Passed(n int)
}

// The least that a receive brings for the next one to be spliced, and the most that a
// splice moves if it is to be the last one but spliceTries.
const (
	spliceFrom  = 16 << 10
	spliceFew   = 4 << 10
	spliceTries = 8
)

// spliceShare is the most that a splice moves in a round, before others have their turn:
// as much as one call sends of a file.
const spliceShare = directStep

// vainTries is how often a poll may be wrong in a row before it is left alone for a moment:
// see writableWatch.
const vainTries = 3

// NewSplice makes from move what it receives to to, at most most bytes at a time. Both
// are sockets of the same loop, and from's protocol writes what it receives to to.
func NewSplice(owner SpliceOwner, from, to *Stream, most int) *Splice {
	x := &Splice{owner: owner, from: from, to: to, most: min(most, pipeSize)}
	x.direct.splice = x
	from.needExtras().splice = x
	from.host.Pipes().Join()
	return x
}

// splice returns where what is received goes, or nil if it goes to the protocol.
func (s *Stream) splice() *Splice {
	if s.extras == nil {
		return nil
	}
	return s.extras.splice
}

// Copied is called by from's protocol when it has written n bytes to to.
func (x *Splice) Copied(n int) {
	if !x.bulk && n >= spliceFrom && x.from.host.Pipes().Max > 0 {
		x.bulk, x.few = true, 0
		x.from.engine.Cancel(&x.from.recv)
	}
}

// End is called when both streams are lost.
func (x *Splice) End() {
	x.discard()
	if x.backoff != nil {
		x.backoff.Cancel()
	}
	x.from.extras.splice = nil
	x.from.host.Pipes().Leave()
}

// open reports whether bytes may be received now.
func (x *Splice) open() bool {
	return x.inside == 0 && x.from.readable() && len(x.from.held) == 0 &&
		x.to.state == Open && !x.to.eofAsked
}

// arm begins to wait for bytes. It reports false if from receives as always.
func (x *Splice) arm() bool {
	switch {
	case x.inside > 0 || x.backoff != nil:
		return true
	case !x.bulk || x.to.eofAsked: // the latter by others, and that has to come out
		return false
	case !x.open():
		return true
	}
	op := &x.from.recv
	op.Code, op.Mask, op.Once, op.Buf = proactor.Poll, pollIn, true, nil
	x.from.engine.Submit(op)
	return true
}

// move moves what from has received, up to its share of a round.
func (x *Splice) move() {
	for budget := spliceShare; budget > 0 && x.bulk && x.open(); {
		want := int(min(int64(min(budget, x.most)), x.owner.Room()))
		n := x.fill(want)
		if n == 0 {
			break
		}
		budget -= n
		if !x.drain() || n < want {
			break // the socket is empty, as a rule; if not, the poll says so
		}
	}
	if x.inside == 0 {
		x.release()
	}
}

// fill receives into the pipe, and returns how many bytes.
func (x *Splice) fill(want int) int {
	s := x.from
	if !x.piped {
		if x.pipe, x.piped = s.host.Pipes().Get(); !x.piped {
			x.copyOnce()
			return 0
		}
	}
	n, err := s.engine.TrySpliceIn(s.recv.FD, x.pipe, want)
	if n == 0 {
		x.release()
		x.nothing(err)
		return 0
	}
	x.vain = 0
	x.inside = n
	s.touch()
	s.pub.slot.Read(n)
	if !x.owner.Received(n) {
		x.discard()
		return 0
	}
	x.weigh(n)
	return n
}

// weigh goes back to copying if few bytes were moved each time.
func (x *Splice) weigh(n int) {
	x.few++
	if n > spliceFew {
		x.few = 0
	}
	x.bulk = x.few < spliceTries
}

// nothing handles a splice that received nothing.
func (x *Splice) nothing(err error) {
	switch errno := errnoOf(err); {
	case err == nil || errors.Is(err, syscall.EAGAIN):
		x.copyOnce()
	case errno == syscall.EINVAL || errno == syscall.ENOSYS || errno == syscall.EPERM:
		x.from.host.Pipes().Max = 0
		x.from.host.Fallback("splice", err)
		x.bulk = false
	default:
		x.from.endOfInput(-int32(errno))
	}
}

// copyOnce receives what splice(2) does not: it stops before out-of-band data, at which it
// says EAGAIN, or 0 if the end is received too (tcp_splice_read in Linux 6.18). So it is
// recvmsg(2) that says whether there is nothing, or the end.
func (x *Splice) copyOnce() {
	if x.from.receiveFDs() {
		x.vain = 0
		return
	}
	x.vain++
	if x.vain >= vainTries {
		x.vain = 0
		x.rest()
	}
}

// rest leaves the poll alone for a moment.
func (x *Splice) rest() {
	x.backoff = x.from.host.After(sendBackoff, func() {
		x.backoff = nil
		x.from.arm()
	})
}

// drain sends what is in the pipe, or queues it, and reports whether the pipe is empty.
func (x *Splice) drain() bool {
	t := x.to
	first := t.out.empty() && !t.send.InFlight()
	if first {
		x.send()
	}
	if x.inside == 0 {
		return true
	}
	t.out.add(chunk{direct: &x.direct}, t.host.Chunks())
	x.from.pub.page.PauseReading(x.from.pub.slot)
	if first {
		t.await(outFull)
	} else {
		t.markDirty()
	}
	return false
}

// send sends what is in the pipe, as much as the kernel takes.
func (x *Splice) send() (n int) {
	t := x.to
	t.needExtras().sentFile = true
	n, err := t.engine.TrySpliceOut(x.pipe, t.recv.FD, x.inside)
	if err != nil {
		x.discard()
		t.writeFailed("splice", errnoOf(err))
		return 0
	}
	if n > 0 {
		x.inside -= n
		t.touch()
		t.pub.slot.Wrote(n)
		x.owner.Passed(n)
	}
	return n
}

// sendQueued sends what is in the pipe, which is to's first chunk.
func (x *Splice) sendQueued() (outcome, int) {
	n := x.send()
	switch {
	case x.to.state >= Lost:
		return outGone, n
	case x.inside > 0:
		return outFull, n
	}
	x.release()
	x.to.popDirect()
	if x.from.state == Open {
		if !x.from.paused {
			x.from.pub.page.ResumeReading(x.from.pub.slot)
		}
		x.from.schedule() // to receive more
	}
	return outGone, n
}

// release gives the pipe back.
func (x *Splice) release() {
	if x.piped {
		x.piped = false
		x.to.host.Pipes().Put(x.pipe)
	}
}

// discard gives the pipe up, with what is in it.
func (x *Splice) discard() {
	if x.inside == 0 {
		x.release()
		return
	}
	x.piped, x.inside = false, 0
	x.to.host.Pipes().Discard(x.pipe)
}

// dropSplice discards what is queued to be moved: the output is dropped.
func (s *Stream) dropSplice() {
	for i := s.out.head; s.out.direct > 0 && i < len(s.out.chunks); i++ {
		if d := s.out.chunks[i].direct; d != nil && d.splice != nil {
			d.splice.discard()
		}
	}
}
