package iouring

import (
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/uring"
	"golang.org/x/sys/unix"
)

// Waiting for readiness. A poll of io_uring reports POLLRDHUP whether or not that
// was asked for (IO_POLL_UNMASK in io_uring/poll.c), and so does the poll with
// which the kernel itself waits for room in a send: on a connection whose peer has
// ended its half, both complete at once, again and again, although there is no
// room. So nothing here waits by means of a send, and a poll that saw only what it
// was not asked for continues edge-triggered: as a multishot poll, which reports
// once what is there and then what arrives.
//
//	              events that are wanted
//	one shot ---------------------------------------------------------> ready
//	   |                       wanted               its last completion
//	   +--others only--> edge -------> sated: ended --------------------> ready
//	                     ^  |
//	                     +--+ others only
const always = unix.POLLERR | unix.POLLHUP | unix.POLLNVAL

// preparePoll waits until op's descriptor has an event of mask, or one of those
// that are always reported.
func (e *engine) preparePoll(op *proactor.Op, sqe *uring.SQE, mask uint32) {
	op.Engine.Flag &^= flagPollFirst
	op.Engine.Flag |= flagPolling
	if op.Engine.Flag&flagEdge != 0 {
		sqe.PrepPollMultishot(op.FD, mask)
		return
	}
	sqe.PrepPollAdd(op.FD, mask)
}

// waitFirst reports whether op is to wait until its descriptor is ready, and if so
// prepares that.
func (e *engine) waitFirst(op *proactor.Op, sqe *uring.SQE, mask uint32) bool {
	if op.Engine.Flag&flagPollFirst == 0 {
		return false
	}
	e.preparePoll(op, sqe, mask)
	return true
}

// pollMask returns the mask of the poll of op, which is waiting.
func pollMask(op *proactor.Op) int32 {
	switch op.Code {
	case proactor.Poll:
		return int32(op.Mask)
	case proactor.Recv, proactor.RecvAny:
		return unix.POLLIN
	}
	return unix.POLLOUT
}

// polled handles a completion of the poll of op, and lets op continue once the poll
// is over.
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

// ready continues an operation that waited for readiness; an error ends it.
func (e *engine) ready(op *proactor.Op, res int32) {
	switch {
	case res == ecanceled:
		e.finishDone(op, res)
	case res < 0:
		e.finish(op, res)
	case op.Code == proactor.Poll && op.Once:
		e.finish(op, res)
	case op.Code == proactor.Poll:
		e.more(op, res, nil)
		e.again(op)
	default:
		op.Engine.Flag |= flagReady
		e.again(op)
	}
}
