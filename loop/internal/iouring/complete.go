package iouring

import (
	"syscall"
	"time"

	"github.com/sluice-net/sluice/loop/internal/debug"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/uring"
)

const (
	eagain    = -int32(syscall.EAGAIN)
	eintr     = -int32(syscall.EINTR)
	enobufs   = -int32(syscall.ENOBUFS)
	ecanceled = -int32(syscall.ECANCELED)
	enotsock  = -int32(syscall.ENOTSOCK)
)

// fairShare is how many bytes one operation may deliver in a round: the most that
// asyncio receives at a time. Anything beyond that waits in its buffers for the
// next round, so that timers and other connections do not wait for one sender. An
// accepted connection counts as acceptCost.
const (
	fairShare  = 256 << 10
	acceptCost = 4 << 10
)

// reap delivers the completions that were moved out of the queue: first those of
// writes, so that code that writes in a callback sees everything sent so far as
// sent, then those left over from the last round.
func (e *engine) reap() {
	debug.Assert(len(e.silent) == 0 || e.silent[0].at >= e.taken,
		"sends are accounted for before anything is delivered")
	e.pass++
	for i := 0; i < len(e.writes); i++ {
		e.complete(e.writes[i])
	}
	e.writes = e.writes[:0]
	left := e.later
	e.later = e.late[:0]
	for _, cqe := range left {
		e.complete(cqe)
	}
	e.late = left[:0]
	for i := 0; i < len(e.arrived); i++ {
		e.complete(e.arrived[i])
	}
	e.arrived = e.arrived[:0]
}

func (e *engine) complete(cqe uring.CQE) {
	s := e.slots.find(cqe.UserData)
	if s == nil {
		panic("iouring: completion of an operation that is not in flight")
	}
	op := s.op
	if e.putOff(s) {
		e.later = append(e.later, cqe)
		return
	}
	if cqe.Res == enotsock && !e.isFile(op.FD) {
		e.noteFile(op.FD)
		e.again(op)
		return
	}
	if op.Engine.Flag&flagPolling != 0 {
		e.polled(s, cqe)
		return
	}
	switch op.Code {
	case proactor.Accept:
		e.completeAccept(op, cqe)
	case proactor.RecvAny, proactor.RecvMsg:
		e.completeAny(op, cqe)
	case proactor.Send, proactor.SendMsg:
		e.completeSend(op, cqe.Res)
	default:
		e.completeOnce(op, cqe.Res)
	}
}

// hadShare reports whether the operation has had its share of this round.
func (e *engine) hadShare(s *slot) bool { return s.round == e.round && s.got >= fairShare }

// putOff reports whether the next completion of the operation waits for the next
// round. A cancelled operation must end in this one, however much it has delivered;
// but a completion never overtakes one that was put off before it.
func (e *engine) putOff(s *slot) bool {
	if s.pass == e.pass || e.hadShare(s) && !s.op.Cancelling() {
		s.pass = e.pass
		return true
	}
	return false
}

// share counts n bytes for the operation.
func (e *engine) share(op *proactor.Op, n int) (got int) {
	s := &e.slots.all[op.Engine.Slot]
	if s.round != e.round {
		s.round, s.got = e.round, 0
	}
	s.got += n
	return s.got
}

// finish releases op and delivers its last completion.
func (e *engine) finish(op *proactor.Op, res int32) {
	if op.Cancelling() {
		e.ending--
		e.ended++
	}
	e.slots.drop(op.Engine.Slot)
	e.stats.Completed++
	op.Deliver(res, false, nil)
}

// finishDone ends an operation that was cancelled, or is not tried again: with what
// it had done, if that was anything.
func (e *engine) finishDone(op *proactor.Op, errno int32) {
	if op.Engine.Done > 0 {
		errno = int32(op.Engine.Done)
	}
	e.finish(op, errno)
}

// more delivers a completion of an operation that continues.
func (e *engine) more(op *proactor.Op, res int32, data []byte) {
	e.stats.Completed++
	op.Deliver(res, true, data)
}

// again puts op, whose last completion in the kernel has arrived, back into the
// queue, unless it was cancelled meanwhile.
func (e *engine) again(op *proactor.Op) {
	if op.Cancelling() {
		e.finishDone(op, ecanceled)
		return
	}
	e.issue(op)
}

// early reports whether a read met a FIFO that nobody has opened for writing yet.
// The kernel answers it with 0, as at the end, but a poll waits for the first
// writer (pipe_poll in fs/pipe.c, f_version), after which 0 means the end. Other
// files are not read again: what a read has consumed from a terminal, including its
// end, is gone.
func (e *engine) early(op *proactor.Op, res int32) bool {
	return res == 0 && op.Engine.Flag&flagReady == 0 && e.isFile(op.FD) &&
		e.machine.IsFIFO(op.FD)
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
	default:
		e.finish(op, res)
	}
}

// completeWaitid handles the events of a poll of the pidfd, or waitid's 0. ECHILD
// means that somebody else has reaped the child, or that it is not this process's:
// the pidfd itself tells which.
func (e *engine) completeWaitid(op *proactor.Op, res int32) {
	if res == -int32(syscall.ECHILD) && op.Engine.Flag&flagPollFirst == 0 {
		op.Engine.Flag |= flagPollFirst
		e.again(op)
		return
	}
	e.finish(op, min(res, 0))
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
	e.share(op, acceptCost)
	e.more(op, cqe.Res, nil)
	if !cqe.More() {
		e.again(op)
	}
}

// completeSend ends a send, or arranges for the rest of it to be sent when there is
// room.
func (e *engine) completeSend(op *proactor.Op, res int32) {
	switch {
	case res == enotsock && !e.isFile(op.FD):
		e.noteFile(op.FD)
		e.again(op)
		return
	case res == enotsock || endsConnection(res):
		e.finish(op, res) // a socket reports its error once: it must not get lost
		return
	}
	op.Engine.Done += int(max(res, 0))
	switch {
	case op.Engine.Done == sendSize(op) || res == 0:
		e.finish(op, int32(op.Engine.Done))
		return
	case op.Once:
		e.finishDone(op, eagain)
		return
	}
	op.Engine.Flag |= flagTried
	if res == eagain && op.Engine.Flag&flagReady != 0 {
		e.rest(op)
		return
	}
	op.Engine.Flag &^= flagReady
	if res != eintr {
		op.Engine.Flag |= flagPollFirst
	}
	e.again(op)
}

// restFor is how long a send is left alone if a poll reports room that does not
// exist: the kernel is short of memory for sockets, and neither reports when that
// is over nor lets a poll wait for it (tcp_poll looks only at the socket's own
// buffer).
const restFor = 5 * time.Millisecond

// rest leaves op alone for a while.
func (e *engine) rest(op *proactor.Op) {
	op.Engine.Flag &^= flagReady
	if op.Cancelling() {
		e.finishDone(op, ecanceled)
		return
	}
	op.Engine.Flag |= flagResting
	if e.resting.empty() {
		e.restedAt = proactor.Later(e.Now(), restFor)
	}
	e.resting.push(op)
}

// wakeRested continues those that have rested, and returns the time until others
// are due.
func (e *engine) wakeRested(timeout time.Duration) time.Duration {
	if e.resting.empty() {
		return timeout
	}
	left := e.restedAt - e.Now()
	if left <= 0 {
		for op := e.resting.pop(); op != nil; op = e.resting.pop() {
			op.Engine.Flag &^= flagResting
			op.Engine.Flag |= flagPollFirst
			e.again(op)
		}
		return 0
	}
	if timeout < 0 || timeout > left {
		return left
	}
	return timeout
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
