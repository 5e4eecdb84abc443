package iouring

import (
	"os"

	"github.com/sluice-net/sluice/loop/internal/debug"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/uring"
	"golang.org/x/sys/unix"
)

// The engine's flags of an operation.
const (
	flagWaiting        uint16 = 1 << iota // on the list waiting
	flagStarved                           // on a list of starved receives
	flagCancelledEarly                    // on the list cancelledEarly
	flagPollFirst                         // wait for readiness before the next attempt
	flagPolling                           // the kernel is waiting, not moving
	flagEdge                              // waits by edges, see poll.go
	flagSated                             // the poll has seen what it waited for, and is to end
	flagReady                             // a poll has reported that it can continue
	flagTried                             // a send that is the rest of one
	flagServed                            // a receive that got a buffer since it was starved
	flagBulk                              // a receive that takes one buffer at a time
	flagLeaving                           // a multishot receive that is to become one of those
	flagResting                           // on the list resting
)

// Every send has MSG_WAITALL, so that a short send counts as failed and posts a
// completion; MSG_DONTWAIT, so that it is over when enter returns; and
// MSG_NOSIGNAL, so that a lost peer causes only EPIPE.
const sendFlags = unix.MSG_WAITALL | unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL

// hasRoom reports whether op can be prepared now: there is an SQE, and room for
// what it is to point to.
func (e *engine) hasRoom(op *proactor.Op) bool {
	if e.ring.Space() == 0 {
		return false
	}
	switch op.Code {
	case proactor.SendMsg:
		return e.ring.CanStage(len(op.Bufs))
	case proactor.Connect, proactor.RecvMsg:
		return e.ring.CanStage(0)
	}
	return true
}

// sqe returns a free SQE, or nil if the queue is full.
func (e *engine) sqe() *uring.SQE {
	sqe := e.ring.SQE()
	if sqe != nil {
		e.prepared++
	}
	return sqe
}

// prepare fills in an SQE for op, or for what is left of it. Everything that the
// SQE points to is either staged in memory of the ring, or one of op's own buffers,
// which its slot keeps reachable; no other file of this package fills in SQEs of
// operations.
func (e *engine) prepare(op *proactor.Op) {
	sqe := e.sqe()
	s := &e.slots.all[op.Engine.Slot]
	debug.Assert(!s.silent, "one request of an operation at a time")
	kind := kindOp
	switch op.Code {
	case proactor.Accept:
		sqe.PrepAcceptMultishot(op.FD, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
	case proactor.Connect:
		e.prepareConnect(op, sqe)
	case proactor.Recv:
		e.prepareRecv(op, sqe)
	case proactor.RecvAny:
		e.prepareRecvAny(op, sqe)
	case proactor.RecvMsg:
		e.prepareRecvMsg(op, sqe)
		kind = kindMsg
	case proactor.Send, proactor.SendMsg:
		kind = e.prepareSend(op, sqe)
	case proactor.Poll:
		e.preparePoll(op, sqe, uint32(op.Mask))
	case proactor.Waitid:
		e.prepareWaitid(op, sqe)
	}
	s.kind = uint8(kind)
	sqe.SetUserData(e.slots.userData(op.Engine.Slot))
	if kind == kindSend {
		s.silent = true
		e.silent = append(e.silent, silentSend{op.Engine.Slot, e.prepared - 1})
		e.eager = e.eager || !op.Lazy || op.Engine.Flag&flagTried != 0
	}
}

// prepareCancel prepares a cancel and reports whether there was an SQE for it.
func (e *engine) prepareCancel(target uint64) bool {
	sqe := e.sqe()
	if sqe == nil {
		return false
	}
	sqe.PrepCancel(target, 0)
	sqe.SetFlags(uring.CQESkipSuccess)
	sqe.SetUserData(pack(kindIgnore, 0, 0))
	return true
}

// armWaker makes the ring report writes to the waker's eventfd.
func (e *engine) armWaker() {
	sqe := e.sqe()
	e.wakerDue = sqe == nil
	if sqe != nil {
		sqe.PrepRead(e.waker.FD(), e.wakeBuf[:], 0)
		sqe.SetUserData(pack(kindWake, 0, 0))
	}
}

// pollFirst makes a receive wait for readiness before its first attempt.
func (e *engine) pollFirst(op *proactor.Op, sqe *uring.SQE) {
	if op.Engine.Flag&flagPollFirst != 0 {
		op.Engine.Flag &^= flagPollFirst
		sqe.SetIoprio(uring.RecvSendPollFirst)
	}
}

// prepareRecvAny takes one buffer at a time for anything that is not a socket, and
// for a socket that fills its buffers. A receive that would find no buffer waits
// until there is data: only then does it starve.
func (e *engine) prepareRecvAny(op *proactor.Op, sqe *uring.SQE) {
	if e.isFile(op.FD) {
		if e.waitFirst(op, sqe, unix.POLLIN) {
			return
		}
		sqe.PrepRead(op.FD, nil, uring.CurrentOffset)
		sqe.SetFlags(uring.BufferSelect)
		sqe.SetBufGroup(proactor.StreamBuffers)
		return
	}
	if op.Engine.Flag&flagBulk != 0 {
		sqe.PrepRecvSelect(op.FD, proactor.StreamBuffers, 0, 0)
	} else {
		sqe.PrepRecvMultishot(op.FD, proactor.StreamBuffers, 0)
	}
	if e.pool.inKernel == 0 {
		op.Engine.Flag |= flagPollFirst
	}
	e.pollFirst(op, sqe)
}

// prepareRecvMsg leaves room for the sender's address in front of each datagram,
// and for control messages if there are to be any: see datagramLayouts. Without
// room for control messages no descriptors arrive that way.
func (e *engine) prepareRecvMsg(op *proactor.Op, sqe *uring.SQE) {
	if e.datagrams.circulating == 0 {
		e.datagrams.grow(e.datagrams.countMin)
	}
	layout := e.layoutOf(op)
	name, control := int(layout.Namelen), int(layout.Controllen)
	sqe.PrepRecvMsgMultishot(op.FD, e.ring.StageHeader(name, control),
		proactor.DatagramBuffers, unix.MSG_TRUNC)
	if e.datagrams.inKernel == 0 {
		op.Engine.Flag |= flagPollFirst
	}
	e.pollFirst(op, sqe)
}

// prepareWaitid waits for a child: with waitid(2), Linux 6.7, or else by polling
// its pidfd.
func (e *engine) prepareWaitid(op *proactor.Op, sqe *uring.SQE) {
	if !e.hasWaitid || op.Engine.Flag&flagPollFirst != 0 {
		sqe.PrepPollAdd(op.FD, unix.POLLIN)
		return
	}
	sqe.PrepWaitid(unix.P_PIDFD, op.FD, nil, unix.WEXITED|unix.WNOWAIT, 0)
}

// prepareConnect leaves it to the kernel to refuse an address that cannot be
// encoded: one of no bytes is EINVAL.
func (e *engine) prepareConnect(op *proactor.Op, sqe *uring.SQE) {
	if err := e.name.Set(op.Message.Addr); err != nil {
		e.name.Len = 0
	}
	sqe.PrepConnect(op.FD, e.ring.StageAddr(e.name.Bytes()), e.name.Len)
}

// prepareRecv receives into the owner's buffer, as a fixed buffer if it lies in
// registered memory, which saves the kernel from pinning its pages.
func (e *engine) prepareRecv(op *proactor.Op, sqe *uring.SQE) {
	index := -1
	if e.isFile(op.FD) {
		e.prepareRead(op, sqe)
		return
	}
	if op.Engine.Flag&flagPollFirst == 0 {
		index = e.memory.registeredIndex(op.Buf)
	}
	if index >= 0 {
		sqe.PrepReadFixed(op.FD, op.Buf, 0, index)
		return
	}
	sqe.PrepRecv(op.FD, op.Buf, 0)
	e.pollFirst(op, sqe)
}

// prepareRead is prepareRecv for anything that is not a socket.
func (e *engine) prepareRead(op *proactor.Op, sqe *uring.SQE) {
	if e.waitFirst(op, sqe, unix.POLLIN) {
		return
	}
	if index := e.memory.registeredIndex(op.Buf); index >= 0 {
		sqe.PrepReadFixed(op.FD, op.Buf, uring.CurrentOffset, index)
		return
	}
	sqe.PrepRead(op.FD, op.Buf, uring.CurrentOffset)
}

// prepareSend sends what is left of op, or waits for room, and returns the kind of
// its user_data.
func (e *engine) prepareSend(op *proactor.Op, sqe *uring.SQE) uint64 {
	if e.waitFirst(op, sqe, unix.POLLOUT) {
		return kindOp
	}
	if e.isFile(op.FD) {
		e.prepareWrite(op, sqe)
		return kindWrite
	}
	if op.Code == proactor.SendMsg {
		sqe.PrepSendMsg(op.FD, e.ring.StageMsg(op.Bufs, op.Engine.Done, e.nameOf(op)), sendFlags)
	} else {
		sqe.PrepSend(op.FD, op.Buf[op.Engine.Done:], sendFlags)
	}
	sqe.SetFlags(uring.CQESkipSuccess)
	return kindSend
}

// nameOf returns the address to which a datagram goes, empty for the connected
// peer. If it cannot be encoded, the kernel answers EINVAL.
func (e *engine) nameOf(op *proactor.Op) []byte {
	to := op.To()
	if to.IsZero() {
		return nil
	}
	if err := e.name.Set(to); err != nil {
		e.name.Len = 1
	}
	return e.name.Bytes()
}

// prepareWrite is a send to something that is not a socket.
func (e *engine) prepareWrite(op *proactor.Op, sqe *uring.SQE) {
	if op.Code != proactor.SendMsg {
		sqe.PrepWrite(op.FD, op.Buf[op.Engine.Done:], uring.CurrentOffset)
		return
	}
	sqe.PrepWritev(op.FD, e.ring.StageVectors(op.Bufs, op.Engine.Done), uring.CurrentOffset)
}

// isFile reports whether fd is known not to be a socket.
func (e *engine) isFile(fd int) bool { return uint(fd) < uint(len(e.files)) && e.files[fd] }

// noteFile remembers that fd is not a socket, until it is closed.
func (e *engine) noteFile(fd int) {
	for len(e.files) <= fd {
		e.files = append(e.files, false)
	}
	e.files[fd] = true
}

// AdoptPipe implements proactor.Kernel. It records at once what is not a socket;
// otherwise the first write would still be in flight when the second one comes.
func (e *engine) AdoptPipe(f *os.File, write bool) (proactor.Pipe, error) {
	p, err := e.Kernel.AdoptPipe(f, write)
	if err == nil {
		if _, kind, err := e.Describe(p.FD); err == nil && kind == proactor.NotSocket {
			e.noteFile(p.FD)
		}
	}
	return p, err
}

// CloseFD implements proactor.Kernel.
func (e *engine) CloseFD(fd int) error {
	if e.isFile(fd) {
		e.files[fd] = false
	}
	return e.Kernel.CloseFD(fd)
}
