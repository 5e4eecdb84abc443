package epoll

import (
	"syscall"
	"unsafe"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/sys"
	"golang.org/x/sys/unix"
)

// sendFlags: no waiting, and an error instead of a signal when the peer is gone.
const sendFlags = unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL

// write tries op, for the first time or when its descriptor may have become
// writable, and arms it if there is more to do.
func (e *engine) write(op *proactor.Op) {
	switch op.Code {
	case proactor.Connect:
		e.connect(op)
	case proactor.Send, proactor.SendZC:
		e.send(op)
	case proactor.SendMsg:
		e.sendMsg(op)
	case proactor.Splice:
		e.splice(op)
	}
}

// connect asks the kernel to connect or, when that was done already, how it
// went. A Unix socket whose listener's queue is full fails with EAGAIN, because
// the kernel has no event for that.
func (e *engine) connect(op *proactor.Op) {
	if op.Engine.Done == connecting {
		op.Engine.Done = 0
		n, err := unix.GetsockoptInt(op.FD, unix.SOL_SOCKET, unix.SO_ERROR)
		e.stats.Syscalls++
		if err != nil {
			n = int(syscall.EBADF)
		}
		e.result(op, 0, syscall.Errno(n))
		return
	}
	errno := syscall.EINVAL
	if err := e.peer.Set(op.Addr); err == nil {
		e.stats.Syscalls++
		_, _, errno = unix.RawSyscall(unix.SYS_CONNECT, uintptr(op.FD),
			uintptr(e.peer.Pointer()), uintptr(e.peer.Len))
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

// connecting marks, in place of a count, that connect(2) was called.
const connecting = -1

// send sends the rest of op.Buf. After a short send the buffers of the socket
// are full, so there is no second call before epoll says otherwise.
func (e *engine) send(op *proactor.Op) {
	s := e.table.slotOf(op.FD)
	rest := op.Buf[op.Engine.Done:]
	p, size := unsafe.Pointer(unsafe.SliceData(rest)), uintptr(len(rest))
	for {
		var n int
		var errno syscall.Errno
		e.stats.Syscalls++
		if s.file {
			e.iov[0].Base = (*byte)(p)
			e.iov[0].SetLen(len(rest))
			n, errno = sys.WriteNow(op.FD, e.iov[:1], &s.plain)
			e.iov[0] = unix.Iovec{}
		} else {
			var sent uintptr
			sent, _, errno = unix.RawSyscall6(unix.SYS_SENDTO, uintptr(op.FD), uintptr(p), size,
				sendFlags, 0, 0)
			n = count(sent, errno)
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
	if err := e.peer.Set(op.Addr); err != nil {
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
			n, errno = sys.WriteNow(fd, e.iov[:used], &s.plain)
		} else {
			var sent uintptr
			sent, _, errno = unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd),
				uintptr(unsafe.Pointer(&e.msg)), sendFlags)
			n = count(sent, errno)
		}
		switch {
		case errno == syscall.ENOTSOCK && !s.file:
			s.file = true
		case errno != syscall.EINTR:
			return n, errno
		}
	}
}

// sent goes on from n more bytes of total sent.
func (e *engine) sent(op *proactor.Op, n, total int, errno syscall.Errno) {
	op.Engine.Done += n
	switch {
	case errno != 0 && errno != syscall.EAGAIN:
		e.fail(op, errno)
	case errno == 0 && op.Engine.Done >= total:
		e.finish(op, int32(op.Engine.Done))
	default:
		e.arm(op, op.FD, writing)
	}
}

// slotOf returns fd's slot, or a slot for nothing if fd is no descriptor.
func (t *table) slotOf(fd int) *slot {
	if fd < 0 {
		return &slot{}
	}
	return t.make(fd)
}

// splice moves what it can. If that is nothing it waits for whichever end is
// in the way; when both got ready in between it tries again in the next pass.
func (e *engine) splice(op *proactor.Op) {
	var from *int64
	if op.Offset != -1 {
		e.offset = op.Offset // the kernel advances it, but op's is the owner's
		from = &e.offset
	}
	e.stats.Syscalls++
	n, err := unix.Splice(op.File, from, op.FD, nil, op.Len, unix.SPLICE_F_NONBLOCK)
	errno, _ := err.(syscall.Errno)
	if errno != syscall.EAGAIN && errno != syscall.EINTR {
		e.result(op, int(n), errno)
		return
	}
	e.pollFDs = [2]unix.PollFd{
		{Fd: int32(op.FD), Events: unix.POLLOUT},
		{Fd: int32(op.File), Events: unix.POLLIN},
	}
	e.stats.Syscalls++
	unix.Poll(e.pollFDs[:], 0)
	switch {
	case e.pollFDs[0].Revents == 0:
		e.arm(op, op.FD, writing)
	case e.pollFDs[1].Revents == 0:
		e.arm(op, op.File, reading)
	default:
		e.enqueue(op)
	}
}
