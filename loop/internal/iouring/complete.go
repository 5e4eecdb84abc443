package iouring

import (
	"encoding/binary"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/sys"
	"github.com/sluice-net/sluice/uring"
	"golang.org/x/sys/unix"
)

const (
	eagain    = -int32(syscall.EAGAIN)
	eintr     = -int32(syscall.EINTR)
	enobufs   = -int32(syscall.ENOBUFS)
	ecanceled = -int32(syscall.ECANCELED)
	enotsock  = -int32(syscall.ENOTSOCK)
)

// reap delivers the completions that are there.
func (e *engine) reap() {
	for c := e.ring.Peek(); c != nil; c = e.ring.Peek() {
		cqe := *c
		e.ring.Advance(1)
		e.complete(cqe)
	}
}

func (e *engine) complete(cqe uring.CQE) {
	switch cqe.UserData >> 56 {
	case kindIgnore, kindLazy: // lazy ones were accounted for
		return
	case kindWake:
		e.armWaker()
		return
	}
	s := e.slots.find(cqe.UserData)
	if s == nil {
		panic("iouring: completion of an operation that is not in flight")
	}
	op := s.op
	if cqe.Res == enotsock && !e.isFile(op.FD) {
		e.noteFile(op.FD)
		e.again(op)
		return
	}
	if op.Engine.Flag&flagPolling != 0 && op.Code != proactor.Splice {
		e.waited(op, cqe.Res)
		return
	}
	switch op.Code {
	case proactor.Accept:
		e.completeAccept(op, cqe)
	case proactor.RecvAny, proactor.RecvMsg:
		e.completeAny(op, cqe)
	case proactor.Send, proactor.SendMsg, proactor.SendZC:
		e.completeSend(op, cqe.Res)
	case proactor.Poll:
		e.completePoll(op, cqe.Res)
	default:
		e.completeOnce(op, cqe.Res)
	}
}

// finish lets go of op and delivers its last completion.
func (e *engine) finish(op *proactor.Op, res int32) {
	e.slots.drop(op.Engine.Slot)
	e.stats.Completed++
	op.Deliver(res, false, nil)
}

// finishDone ends an operation that failed or was cancelled: by what it had
// done, if that was anything.
func (e *engine) finishDone(op *proactor.Op, errno int32) {
	if op.Engine.Done > 0 {
		errno = int32(op.Engine.Done)
	}
	e.finish(op, errno)
}

// more delivers a completion of an operation that goes on.
func (e *engine) more(op *proactor.Op, res int32, data []byte) {
	e.stats.Completed++
	op.Deliver(res, true, data)
}

// again puts op, whose last completion in the kernel has come, back into the
// queue, unless it was cancelled meanwhile.
func (e *engine) again(op *proactor.Op) {
	if op.Cancelling() {
		e.finishDone(op, ecanceled)
		return
	}
	e.issue(op)
}

// waited goes on with what waited for readiness, which an error ends.
func (e *engine) waited(op *proactor.Op, res int32) {
	op.Engine.Flag &^= flagPolling
	if res < 0 && res != eintr {
		e.finishDone(op, res)
		return
	}
	if res >= 0 && (op.Code == proactor.Recv || op.Code == proactor.RecvAny) {
		op.Engine.Flag |= flagReady
	}
	e.again(op)
}

// early reports whether a read met a FIFO that nobody has opened for writing yet. The
// kernel answers it with 0 like the end, but a poll waits for the first writer
// (pipe_poll in fs/pipe.c, f_version), after which 0 is the end. Others are not asked
// again: what a read has taken of a terminal, its end too, is gone.
func (e *engine) early(op *proactor.Op, res int32) bool {
	return res == 0 && op.Engine.Flag&flagReady == 0 && e.isFile(op.FD) && isFIFO(op.FD)
}

func (e *engine) completeOnce(op *proactor.Op, res int32) {
	switch {
	case op.Code == proactor.Recv && (res == eagain || e.early(op, res)):
		op.Engine.Flag |= flagPollFirst
		e.again(op)
	case res == eintr && op.Code != proactor.Connect:
		e.again(op)
	case op.Code == proactor.Waitid:
		e.completeWaitid(op, res)
	case op.Code == proactor.Splice:
		e.completeSplice(op, res)
	default:
		e.finish(op, res)
	}
}

// completeWaitid takes the events of a poll of the pidfd, or waitid's 0. ECHILD
// says that somebody else has reaped the child, or that it is not this process's:
// the pidfd itself knows which.
func (e *engine) completeWaitid(op *proactor.Op, res int32) {
	if res == -int32(syscall.ECHILD) && op.Engine.Flag&flagPollFirst == 0 {
		op.Engine.Flag |= flagPollFirst
		e.again(op)
		return
	}
	e.finish(op, min(res, 0))
}

func (e *engine) completeSplice(op *proactor.Op, res int32) {
	switch {
	case op.Engine.Flag&flagPolling != 0 && res >= 0:
		op.Engine.Flag ^= flagPolling | flagTarget
		e.again(op)
	case res == eagain:
		op.Engine.Flag |= flagPolling
		e.again(op)
	default:
		e.finish(op, res)
	}
}

func (e *engine) completeAccept(op *proactor.Op, cqe uring.CQE) {
	switch cqe.Res {
	case eagain, eintr, -int32(syscall.ECONNABORTED):
		if !cqe.More() {
			e.again(op)
		}
		return
	}
	if cqe.Res < 0 {
		e.finish(op, cqe.Res)
		return
	}
	e.more(op, cqe.Res, nil)
	if !cqe.More() {
		e.again(op)
	}
}

func (e *engine) completePoll(op *proactor.Op, res int32) {
	if res < 0 {
		e.finish(op, res)
		return
	}
	e.more(op, res, nil)
	e.again(op)
}

// completeSend ends a send or has the rest of it sent.
func (e *engine) completeSend(op *proactor.Op, res int32) {
	if res == eagain || res == eintr {
		op.Engine.Flag |= flagPollFirst
		e.again(op)
		return
	}
	if res < 0 {
		e.finishDone(op, res)
		return
	}
	op.Engine.Done += int(res)
	if op.Engine.Done == sendSize(op) || res == 0 {
		e.finish(op, int32(op.Engine.Done))
		return
	}
	e.again(op)
}

func sendSize(op *proactor.Op) int {
	if op.Code != proactor.SendMsg {
		return len(op.Buf)
	}
	size := 0
	for _, b := range op.Bufs {
		size += len(b)
	}
	return size
}

// completeAny delivers what a multishot receive put into a shared buffer, and
// gives the buffer back.
func (e *engine) completeAny(op *proactor.Op, cqe uring.CQE) {
	if cqe.Res == enobufs {
		e.starve(op)
		return
	}
	if cqe.HasBuffer() {
		id := cqe.BufID()
		op.Engine.Flag |= flagServed
		p := e.poolOf(op)
		data := p.buffer(id)[:max(cqe.Res, 0)]
		switch {
		case cqe.Res < 0:
		case op.Code == proactor.RecvMsg:
			e.deliverDatagram(op, data)
		case cqe.Res > 0:
			e.more(op, cqe.Res, data)
		}
		p.giveBack(id, len(data))
		if cqe.Res > 0 || op.Code == proactor.RecvMsg && cqe.Res == 0 {
			if !cqe.More() {
				e.again(op)
			}
			return
		}
	}
	switch {
	case cqe.More():
	case cqe.Res == eagain || cqe.Res == eintr || e.early(op, cqe.Res):
		op.Engine.Flag |= flagPollFirst
		e.again(op)
	default:
		e.finish(op, cqe.Res)
	}
}

// deliverDatagram takes apart what multishot RECVMSG writes: a header of four
// words (name length, control length, payload length, flags), room for the
// name, for control messages, and the payload
// (io_uring_prep_recvmsg_multishot(3)). With MSG_TRUNC the payload's length is the
// datagram's, also where there was no room for all of it.
func (e *engine) deliverDatagram(op *proactor.Op, data []byte) {
	nameLen := binary.NativeEndian.Uint32(data)
	controlLen := binary.NativeEndian.Uint32(data[4:])
	op.Size = int(binary.NativeEndian.Uint32(data[8:]))
	flags := binary.NativeEndian.Uint32(data[12:])
	name, payload := data[headerSize:headerSize+sys.SockaddrSize], data[datagramHead:]
	op.Segment, op.Uncut = 0, false
	if op.Coalesced {
		control := data[headerSize+sys.SockaddrSize : datagramHead]
		size, known := sys.SegmentSize(control[:min(controlLen, sys.ControlRoom)],
			flags&unix.MSG_CTRUNC != 0)
		op.Segment, op.Uncut = size, !known
	}
	op.Addr = senderName(name, nameLen)
	op.Truncated = flags&unix.MSG_TRUNC != 0
	e.more(op, int32(len(payload)), payload)
}

// account completes the lazy sends of the last enter. A failed one has posted a
// completion; all others are done. It runs before any other completion of that
// enter is delivered, for they happened later.
func (e *engine) account() {
	if e.ring.Pending() > 0 {
		return // not all were taken; nothing is known of the rest
	}
	e.scratch.reset()
	if len(e.lazy) == 0 {
		return
	}
	for i := range e.ring.Ready() {
		cqe := e.ring.PeekAt(i)
		if cqe.UserData>>56 == kindLazy {
			s := e.slots.find(cqe.UserData)
			s.failed, s.res = true, cqe.Res
		}
	}
	lazy := e.lazy
	e.lazy = e.lazy[:0]
	for _, slot := range lazy {
		s := &e.slots.all[slot]
		op := s.op
		if !s.failed {
			op.Engine.Done = sendSize(op)
			e.finish(op, int32(op.Engine.Done))
			continue
		}
		res := s.res
		s.failed = false
		op.Engine.Flag |= flagTried // the rest is an ordinary send
		if res == enotsock {
			e.noteFile(op.FD)
			e.again(op)
			continue
		}
		e.completeSend(op, res)
	}
}
