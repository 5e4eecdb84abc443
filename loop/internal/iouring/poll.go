package iouring

import (
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/uring"
	"golang.org/x/sys/unix"
)

// Waiting for readiness. A poll of io_uring tells of POLLRDHUP whether that was asked
// for or not (IO_POLL_UNMASK in io_uring/poll.c), and so does the poll with which the
// kernel itself waits for room in a send: on a connection whose peer has ended its
// half both are over at once, again and again, though there is no room. So nothing
// here waits by a send, and a poll that saw only what it was not asked for goes on by
// edges: as a multishot poll, which tells once of what is there and then of what
// comes.
//
//	              events that are wanted
//	one shot ---------------------------------------------------------> ready
//	   |                       wanted               its last completion
//	   +--others only--> edge -------> sated: ended --------------------> ready
//	                     ^  |
//	                     +--+ others only
const always = unix.POLLERR | unix.POLLHUP | unix.POLLNVAL

// preparePoll waits until op's descriptor has an event of mask, or one of those that
// are always told.
func (e *engine) preparePoll(op *proactor.Op, sqe *uring.SQE, mask uint32) {
	op.Engine.Flag &^= flagPollFirst
	op.Engine.Flag |= flagPolling
	if op.Engine.Flag&flagEdge != 0 {
		sqe.PrepPollMultishot(op.FD, mask)
		return
	}
	sqe.PrepPollAdd(op.FD, mask)
}

// waitFirst reports whether op is to wait until its descriptor is ready, and then has
// prepared that.
func (e *engine) waitFirst(op *proactor.Op, sqe *uring.SQE, mask uint32) bool {
	if op.Engine.Flag&flagPollFirst == 0 {
		return false
	}
	e.preparePoll(op, sqe, mask)
	return true
}

// pollMask is what the poll of op, which is waiting, was asked for.
func pollMask(op *proactor.Op) int32 {
	switch op.Code {
	case proactor.Poll:
		return int32(op.Mask)
	case proactor.Recv, proactor.RecvAny:
		return unix.POLLIN
	}
	return unix.POLLOUT
}

// polled takes a completion of the poll of op, and has op go on once it is over.
func (e *engine) polled(s *slot, cqe uring.CQE) {
	op := s.op
	got := cqe.Res
	if got > 0 {
		got &= pollMask(op) | always
	}
	if cqe.More() {
		if got > 0 && op.Engine.Flag&flagSated == 0 {
			op.Engine.Flag |= flagSated
			s.res = got
			e.cancel(op)
		}
		return
	}
	flags := op.Engine.Flag
	op.Engine.Flag &^= flagPolling | flagSated
	switch {
	case flags&flagSated != 0:
		e.ready(op, s.res)
	case cqe.Res > 0 && got == 0:
		op.Engine.Flag |= flagPollFirst | flagEdge
		e.again(op)
	case cqe.Res == eintr:
		op.Engine.Flag |= flagPollFirst
		e.again(op)
	default:
		e.ready(op, got)
	}
}

// ready goes on with what waited for readiness, which an error ends.
func (e *engine) ready(op *proactor.Op, res int32) {
	switch {
	case res == ecanceled:
		e.finishDone(op, res)
	case res < 0:
		e.finish(op, res)
	case op.Code == proactor.Poll:
		e.more(op, res, nil)
		e.again(op)
	default:
		op.Engine.Flag |= flagReady
		e.again(op)
	}
}
