package epoll

import (
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/debug"
	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// acceptsMax is the number of connections that one listener may accept in a turn.
const acceptsMax = 64

// begin starts op, or ends it if it was cancelled.
func (e *engine) begin(op *proactor.Op) {
	if op.Cancelling() {
		e.fail(op, syscall.ECANCELED)
		return
	}
	switch op.Code {
	case proactor.Accept, proactor.Recv, proactor.RecvAny, proactor.RecvMsg, proactor.Waitid:
		e.arm(op, op.FD, reading)
	case proactor.Poll:
		e.arm(op, op.FD, pollFirst)
	default:
		e.write(op)
	}
}

// read carries out the reader of a slot that may have become readable.
func (e *engine) read(s *slot, op *proactor.Op) {
	switch op.Code {
	case proactor.Accept:
		e.accept(s, op)
	case proactor.Recv:
		if n, errno := e.recv(s, op.FD, op.Buf); errno != syscall.EAGAIN {
			s.release(op)
			e.result(op, n, errno)
		}
	case proactor.RecvAny:
		e.recvAny(s, op)
	case proactor.RecvMsg:
		e.recvMsg(s, op)
	case proactor.Waitid:
		// The descriptor belongs to its owner, who may close it now.
		e.detach(op)
		e.finish(op, 0)
	}
}

// readUnwatched reads once from a file that epoll refuses to watch because it is
// always ready, such as /dev/null. An operation that continues waits for the next
// pass.
func (e *engine) readUnwatched(s *slot, op *proactor.Op) {
	s.reader = op
	op.Engine.Flag = reading
	e.read(s, op)
	if s.reader == op {
		s.reader = nil
		e.enqueue(op)
	}
}

// release takes the reader off the slot. The descriptor stays watched.
func (s *slot) release(op *proactor.Op) {
	s.reader = nil
	op.Engine.Flag = nowhere
}

// result completes op with what a system call returned.
func (e *engine) result(op *proactor.Op, n int, errno syscall.Errno) {
	if errno != 0 {
		e.fail(op, errno)
		return
	}
	e.finish(op, int32(n))
}

// accept accepts what is in the listener's queue. A connection that was reset while
// it waited there is not an error.
//
// accept4(2) has no flag that says not to wait, so the listener's mode is checked,
// because anybody who shares the listener can change it.
func (e *engine) accept(s *slot, op *proactor.Op) {
	e.stats.Syscalls++
	e.machine.StayNonblocking(op.FD)
	for range acceptsMax {
		e.stats.Syscalls++
		fd, errno := e.machine.Accept(op.FD)
		switch errno {
		case 0:
			e.stats.Completed++
			op.Deliver(int32(fd), true, nil)
			if s.reader != op {
				return // cancelled by its handler
			}
		case syscall.ECONNABORTED, syscall.EINTR:
		case syscall.EAGAIN:
			return
		default:
			s.release(op)
			e.fail(op, errno)
			return
		}
	}
}

// recvAny receives once. There may be more a turn later, which epoll reports again,
// so no second call is made just to find out that there is not.
func (e *engine) recvAny(s *slot, op *proactor.Op) {
	number, buf := e.pool.Get()
	n, errno := e.recv(s, op.FD, buf)
	switch {
	case errno == syscall.EAGAIN:
	case n > 0:
		data := buf[:n:n]
		e.stats.Completed++
		op.Keep, op.Keepable, op.Buffer = false, e.keepable(), uint16(number)
		op.Deliver(int32(n), true, data)
		if op.Keep {
			e.kept++
			return
		}
		debug.Poison(data)
	default:
		s.release(op)
		e.result(op, 0, errno)
	}
	e.pool.Put(number)
}

// keepable reports whether the buffer that is being delivered may be kept: there is
// another one for the next receive, and at most half of all may be kept.
func (e *engine) keepable() bool {
	return e.kept < e.cfg.BuffersMax/2 && e.pool.Left() > 0
}

// GiveBack implements proactor.Memory.
func (e *engine) GiveBack(buffer uint16) {
	if e.closed {
		return
	}
	debug.Poison(e.pool.Buffer(int(buffer)))
	e.kept--
	e.pool.Put(int(buffer))
}

// recv receives into buf, which is not empty, without waiting.
func (e *engine) recv(s *slot, fd int, buf []byte) (int, syscall.Errno) {
	for {
		var n int
		var errno syscall.Errno
		e.stats.Syscalls++
		if s.file {
			n, errno = e.machine.Read(fd, buf, &s.plain)
		} else {
			n, errno = e.machine.Recv(fd, buf)
		}
		switch {
		case errno == syscall.ENOTSOCK && !s.file:
			s.file = true
		case errno != syscall.EINTR:
			return n, errno
		}
	}
}
