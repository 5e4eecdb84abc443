package iouring

import (
	"unsafe"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/sys"
	"github.com/sluice-net/sluice/uring"
	"golang.org/x/sys/unix"
)

// The engine's flags of an operation.
const (
	flagWaiting   uint8 = 1 << iota // on the list waiting
	flagStarved                     // on the list starved
	flagDoomed                      // on the list doomed
	flagPollFirst                   // EAGAIN: wait for readiness before trying again
	flagPolling                     // the kernel is waiting, not moving: a splice, no socket
	flagTarget                      // a splice: for the target, not the source; else flagReady
	flagTried                       // a lazy send that the socket had no room for
	flagServed                      // a receive that got a buffer since it was starved

	flagReady = flagTarget // a read from what is no socket, which was ready once
)

// Every send says MSG_WAITALL, so that the kernel sends the rest of a short send
// by itself, and MSG_NOSIGNAL, so that EPIPE is all that a lost peer causes.
// Lazy ones say MSG_DONTWAIT: they are done, or have failed, when enter returns.
const (
	sendFlags = unix.MSG_WAITALL | unix.MSG_NOSIGNAL
	lazyFlags = sendFlags | unix.MSG_DONTWAIT
)

// prepare fills in an SQE for op, or for what is left of it.
func (e *engine) prepare(op *proactor.Op, sqe *uring.SQE) {
	slot := op.Engine.Slot
	kind := uint64(kindOp)
	switch op.Code {
	case proactor.Nop:
		sqe.PrepNop()
	case proactor.Accept:
		sqe.PrepAcceptMultishot(op.FD, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
	case proactor.Connect:
		e.prepareConnect(op, sqe)
	case proactor.Recv:
		e.prepareRecv(op, sqe)
	case proactor.RecvAny:
		e.prepareRecvAny(op, sqe)
	case proactor.RecvMsg:
		if e.datagrams.circulating == 0 {
			e.datagrams.grow(e.datagrams.min)
		}
		header := &recvHeader
		if op.Coalesced {
			header = &coalescedHeader
		}
		sqe.PrepRecvMsgMultishot(op.FD, header, datagramGroup, unix.MSG_TRUNC)
		e.pollFirst(op, sqe)
	case proactor.Send, proactor.SendMsg, proactor.SendZC:
		kind = e.prepareSend(op, sqe)
	case proactor.Splice:
		e.prepareSplice(op, sqe)
	case proactor.Poll:
		sqe.PrepPollAdd(op.FD, uint32(op.Mask))
	case proactor.Waitid:
		e.prepareWaitid(op, sqe)
	}
	sqe.SetUserData(e.slots.userData(kind, slot))
}

func (e *engine) pollFirst(op *proactor.Op, sqe *uring.SQE) {
	if op.Engine.Flag&flagPollFirst != 0 {
		op.Engine.Flag &^= flagPollFirst
		sqe.SetIoprio(uring.RecvSendPollFirst)
	}
}

// prepareRecvAny takes one buffer at a time from what is not a socket.
func (e *engine) prepareRecvAny(op *proactor.Op, sqe *uring.SQE) {
	if e.isFile(op.FD) {
		if e.waitFirst(op, sqe, unix.POLLIN) {
			return
		}
		sqe.PrepRead(op.FD, nil, uring.CurrentOffset)
		sqe.SetFlags(uring.BufferSelect)
		sqe.SetBufGroup(group)
		return
	}
	sqe.PrepRecvMultishot(op.FD, group, 0)
	e.pollFirst(op, sqe)
}

// prepareSplice moves bytes, or waits until there is something to move, or room
// for it: in turns, since EAGAIN does not tell which is missing.
func (e *engine) prepareSplice(op *proactor.Op, sqe *uring.SQE) {
	switch {
	case op.Engine.Flag&flagPolling == 0:
		sqe.PrepSplice(op.File, op.Offset, op.FD, -1, uint32(op.Len), unix.SPLICE_F_MOVE)
	case op.Engine.Flag&flagTarget == 0:
		sqe.PrepPollAdd(op.File, unix.POLLIN)
	default:
		sqe.PrepPollAdd(op.FD, unix.POLLOUT)
	}
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

func (e *engine) prepareConnect(op *proactor.Op, sqe *uring.SQE) {
	addr := new(sys.Sockaddr)
	if err := addr.Set(op.Addr); err != nil {
		// Let the kernel refuse it: an address of no bytes is EINVAL.
		addr.Len = 0
	}
	e.slots.all[op.Engine.Slot].hold = addr
	sqe.PrepConnect(op.FD, addr.Pointer(), addr.Len)
}

// prepareRecv receives into the owner's buffer: as a fixed buffer where it lies
// in registered memory, which saves the kernel pinning its pages.
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

// prepareRead is prepareRecv of what is not a socket.
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

// waitFirst is pollFirst for what is not a socket, where a poll of its own has
// to go before the next attempt. It reports whether that is what was prepared.
func (e *engine) waitFirst(op *proactor.Op, sqe *uring.SQE, mask uint32) bool {
	if op.Engine.Flag&flagPollFirst == 0 {
		return false
	}
	op.Engine.Flag ^= flagPollFirst | flagPolling
	sqe.PrepPollAdd(op.FD, mask)
	return true
}

// prepareSend sends what is left of op and returns the kind of its user_data.
func (e *engine) prepareSend(op *proactor.Op, sqe *uring.SQE) uint64 {
	if e.isFile(op.FD) {
		e.prepareWrite(op, sqe)
		return kindOp
	}
	lazy := op.Lazy && op.Engine.Flag&flagTried == 0
	flags := sendFlags
	if lazy {
		flags = lazyFlags
	}
	if op.Code == proactor.SendMsg {
		sqe.PrepSendMsg(op.FD, e.scratch.message(op), flags)
	} else {
		sqe.PrepSend(op.FD, op.Buf[op.Engine.Done:], flags)
	}
	if !lazy {
		e.pollFirst(op, sqe)
		return kindOp
	}
	sqe.SetFlags(uring.CQESkipSuccess)
	e.lazy = append(e.lazy, op.Engine.Slot)
	return kindLazy
}

// prepareWrite is a send to what is not a socket.
func (e *engine) prepareWrite(op *proactor.Op, sqe *uring.SQE) {
	if e.waitFirst(op, sqe, unix.POLLOUT) {
		return
	}
	if op.Code != proactor.SendMsg {
		sqe.PrepWrite(op.FD, op.Buf[op.Engine.Done:], uring.CurrentOffset)
		return
	}
	h := e.scratch.message(op)
	sqe.PrepWritev(op.FD, unsafe.Slice(h.Iov, h.Iovlen), uring.CurrentOffset)
}

// isFile reports whether fd was found not to be a socket.
func (e *engine) isFile(fd int) bool { return uint(fd) < uint(len(e.files)) && e.files[fd] }

// isFIFO reports whether fd is a pipe.
func isFIFO(fd int) bool {
	var stat unix.Stat_t
	return unix.Fstat(fd, &stat) == nil && stat.Mode&unix.S_IFMT == unix.S_IFIFO
}

// noteFile remembers that fd is not a socket, until it is closed.
func (e *engine) noteFile(fd int) {
	for len(e.files) <= fd {
		e.files = append(e.files, false)
	}
	e.files[fd] = true
}

// CloseFD implements proactor.Kernel.
func (e *engine) CloseFD(fd int) error {
	if e.isFile(fd) {
		e.files[fd] = false
	}
	return e.Kernel.CloseFD(fd)
}

// scratch is the message headers of the operations that are being handed over.
// The kernel copies them during enter (IORING_FEAT_SUBMIT_STABLE), so they are
// used again once the queue is empty.
type scratch struct {
	headers []unix.Msghdr
	vectors []unix.Iovec
	names   []sys.Sockaddr
}

const vectorsMax = 4 * proactor.IOVMax

// message returns a header for what is left of op.
func (s *scratch) message(op *proactor.Op) *unix.Msghdr {
	if cap(s.headers) == 0 {
		s.headers = make([]unix.Msghdr, 0, 512)
		s.vectors = make([]unix.Iovec, 0, vectorsMax)
	}
	if len(s.headers) == cap(s.headers) || len(s.vectors)+len(op.Bufs) > cap(s.vectors) {
		// The old memory stays where it is as long as an SQE points to it: the
		// slices that are kept reachable here are only for the next ones.
		s.headers = make([]unix.Msghdr, 0, cap(s.headers))
		s.vectors = make([]unix.Iovec, 0, vectorsMax)
	}
	first := len(s.vectors)
	skip := op.Engine.Done
	for _, b := range op.Bufs {
		if skip >= len(b) {
			skip -= len(b)
			continue
		}
		v := unix.Iovec{Base: unsafe.SliceData(b[skip:])}
		v.SetLen(len(b) - skip)
		s.vectors = append(s.vectors, v)
		skip = 0
	}
	s.headers = append(s.headers, unix.Msghdr{})
	h := &s.headers[len(s.headers)-1]
	if n := len(s.vectors) - first; n > 0 {
		h.Iov = &s.vectors[first]
		h.SetIovlen(n)
	}
	if !op.Addr.IsZero() {
		s.address(h, op)
	}
	return h
}

func (s *scratch) address(h *unix.Msghdr, op *proactor.Op) {
	if len(s.names) == cap(s.names) {
		s.names = make([]sys.Sockaddr, 0, 512)
	}
	s.names = append(s.names, sys.Sockaddr{})
	name := &s.names[len(s.names)-1]
	if err := name.Set(op.Addr); err != nil {
		name.Len = 1 // the kernel's EINVAL is the answer
	}
	h.Name, h.Namelen = (*byte)(name.Pointer()), name.Len
}

// reset lets the memory be used again.
func (s *scratch) reset() {
	s.headers, s.vectors, s.names = s.headers[:0], s.vectors[:0], s.names[:0]
}

// recvHeader says how much room multishot RECVMSG leaves for the sender's address in
// front of each datagram, so that all begin at the same place. Without room for control
// messages no descriptor comes that way. The kernel only reads it.
var recvHeader = unix.Msghdr{Namelen: sys.SockaddrSize + sys.ControlRoom}

// coalescedHeader gives the end of that room to control messages.
var coalescedHeader = unix.Msghdr{Namelen: sys.SockaddrSize, Controllen: sys.ControlRoom}

// What multishot RECVMSG puts in front of a datagram: struct io_uring_recvmsg_out, the
// sender's address and control messages.
const (
	headerSize   = 16
	datagramHead = headerSize + sys.SockaddrSize + sys.ControlRoom
)
