package epoll

import (
	"syscall"
	"unsafe"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/sys"
	"golang.org/x/sys/unix"
)

// write tries op, for the first time or when its descriptor may have become
// writable, and arms it if there is more to do.
func (e *engine) write(op *proactor.Op) {
	switch op.Code {
	case proactor.Connect:
		e.connect(op)
	case proactor.Send:
		e.send(op)
	case proactor.SendMsg:
		e.sendMsg(op)
	}
}

// connect asks the kernel to connect or, if that was done already, for the result.
// A Unix socket whose listener's queue is full fails with EAGAIN, because the
// kernel has no event for that.
func (e *engine) connect(op *proactor.Op) {
	if op.Engine.Done == connecting {
		op.Engine.Done = 0
		e.stats.Syscalls++
		e.result(op, 0, e.machine.SocketError(op.FD))
		return
	}
	errno := syscall.EINVAL
	if err := e.peer.Set(op.Message.Addr); err == nil {
		e.stats.Syscalls++
		errno = e.machine.Connect(op.FD, &e.peer)
	}
	if errno != syscall.EINPROGRESS && errno != syscall.EINTR {
		e.result(op, 0, errno)
		return
	}
	e.arm(op, op.FD, writing)
	if op.Engine.Flag == writing {
		op.Engine.Done = connecting
	}
}

// connecting indicates, in place of a count, that connect(2) was called.
const connecting = -1

// send sends the rest of op.Buf. After a short send the socket's buffers are full,
// so there is no second call before epoll says otherwise.
func (e *engine) send(op *proactor.Op) {
	s := e.table.slotOf(op.FD)
	rest := op.Buf[op.Engine.Done:]
	for {
		var n int
		var errno syscall.Errno
		e.stats.Syscalls++
		if s.file {
			e.iov[0].Base = unsafe.SliceData(rest)
			e.iov[0].SetLen(len(rest))
			n, errno = e.machine.Write(op.FD, e.iov[:1], &s.plain)
			e.iov[0] = unix.Iovec{}
		} else {
			n, errno = e.machine.Send(op.FD, rest)
		}
		switch {
		case errno == syscall.ENOTSOCK && !s.file:
			s.file = true
		case errno != syscall.EINTR:
			e.sent(op, n, len(op.Buf), errno)
			return
		}
	}
}

// sendMsg sends the rest of op.Bufs.
func (e *engine) sendMsg(op *proactor.Op) {
	if err := e.peer.Set(op.To()); err != nil {
		e.fail(op, syscall.EINVAL)
		return
	}
	total := 0
	for _, b := range op.Bufs {
		total += len(b)
	}
	used := sys.FillIovecs(e.iov[:], op.Bufs, op.Engine.Done)
	e.msg = unix.Msghdr{Iov: &e.iov[0]}
	e.msg.SetIovlen(used)
	if e.peer.Len > 0 {
		e.msg.Name, e.msg.Namelen = (*byte)(e.peer.Pointer()), e.peer.Len
	}
	n, errno := e.sendIovecs(e.table.slotOf(op.FD), op.FD, used)
	clear(e.iov[:used])
	e.sent(op, n, total, errno)
}

func (e *engine) sendIovecs(s *slot, fd, used int) (int, syscall.Errno) {
	for {
		var n int
		var errno syscall.Errno
		e.stats.Syscalls++
		if s.file {
			n, errno = e.machine.Write(fd, e.iov[:used], &s.plain)
		} else {
			n, errno = e.machine.SendMsg(fd, &e.msg)
		}
		switch {
		case errno == syscall.ENOTSOCK && !s.file:
			s.file = true
		case errno != syscall.EINTR:
			return n, errno
		}
	}
}

// sent continues after n more bytes of total were sent.
func (e *engine) sent(op *proactor.Op, n, total int, errno syscall.Errno) {
	op.Engine.Done += n
	switch {
	case errno != 0 && errno != syscall.EAGAIN:
		e.fail(op, errno)
	case errno == 0 && op.Engine.Done >= total:
		e.finish(op, int32(op.Engine.Done))
	case op.Once && op.Engine.Done > 0:
		op.Lazy = false // its owner has to go on
		e.finish(op, int32(op.Engine.Done))
	case op.Once:
		e.fail(op, syscall.EAGAIN)
	default:
		e.arm(op, op.FD, writing)
	}
}

// slotOf returns fd's slot, or an empty slot if fd is negative.
func (t *table) slotOf(fd int) *slot {
	if fd < 0 {
		return &slot{}
	}
	return t.slotFor(fd)
}
