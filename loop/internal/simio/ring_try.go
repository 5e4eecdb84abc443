package simio

import (
	"encoding/binary"
	"syscall"
)

// try is an attempt of whatever t is, without waiting.
func (t *task) try() verdict {
	w := t.r.w
	switch t.sqe.opcode {
	case opNop:
		t.end(0, 0, nil)
		return over
	case opCancel, opPollRemove:
		return t.tryCancel()
	case opPollAdd:
		return t.tryPoll()
	}
	if t.file.event == nil && !t.polled && w.net.chance(w.faults.NoMemory) {
		t.fail(syscall.ENOMEM)
		return over
	}
	if f := t.sqe.ioprio & pollFirst; f != 0 && !t.polled && t.sqe.opcode != opAccept {
		return blocked
	}
	switch t.sqe.opcode {
	case opSend, opSendMsg:
		return t.trySend()
	case opRecv:
		return t.tryRecv()
	case opRecvMsg:
		return t.tryRecvMsg()
	case opRead, opReadFixed:
		return t.tryRead()
	case opWrite, opWritev:
		return t.tryWrite()
	case opAccept:
		return t.tryAccept()
	case opConnect:
		return t.tryConnect()
	default:
		return t.tryWaitid()
	}
}

// waitsFor are the events that t waits for when it cannot go on.
func (t *task) waitsFor() uint32 {
	switch t.sqe.opcode {
	case opPollAdd:
		return t.asked
	case opSend, opSendMsg, opWrite, opWritev, opConnect:
		return pollOut
	}
	return pollIn
}

// wouldBlock is blocked, or seldom the EAGAIN that a worker of the kernel gives where
// it has tried in vain.
func (t *task) wouldBlock() verdict {
	if w := t.r.w; t.file.event == nil && w.net.chance(w.faults.Again) {
		t.stop(syscall.EAGAIN)
		return over
	}
	return blocked
}

// tryRead is READ and READ_FIXED: of a socket, a pipe, a file or an eventfd.
func (t *task) tryRead() verdict {
	f := t.file
	switch {
	case f.event != nil:
		return t.readEvent()
	case f.kind == streamSocket || f.kind == datagramSocket:
		return t.receiveOnce()
	case f.kind == regularFile:
		return t.readFile()
	case f.kind != pipeEnd:
		t.fail(syscall.EINVAL)
		return over
	}
	return t.receiveOnce()
}

// readEvent reads an eventfd.
func (t *task) readEvent() verdict {
	v := t.file.event
	if v.count == 0 {
		return blocked
	}
	if len(t.bufs) != 1 || len(t.bufs[0]) != 8 {
		t.violate("an eventfd is read with %d bytes", t.total)
	}
	binary.NativeEndian.PutUint64(t.bufs[0], v.count)
	v.count = 0
	t.end(8, 0, nil)
	return over
}

// readFile reads a regular file at its position.
func (t *task) readFile() verdict {
	f, w := t.file, t.r.w
	at := f.offset
	if t.sqe.off != ^uint64(0) {
		at = int64(t.sqe.off)
	}
	data := f.content[min(at, int64(len(f.content))):]
	buf, lent := t.room()
	if buf == nil {
		t.fail(syscall.ENOBUFS)
		return over
	}
	n := w.part(min(len(data), len(buf)), w.faults.PartialRead)
	copy(buf, data[:n])
	if t.sqe.off == ^uint64(0) {
		f.offset += int64(n)
	}
	t.endRead(n, lent)
	return over
}

// tryWrite is WRITE and WRITEV of a pipe, or a socket.
func (t *task) tryWrite() verdict {
	f := t.file
	if f.kind != pipeEnd && f.kind != streamSocket {
		t.fail(syscall.EINVAL)
		return over
	}
	n, errno := f.trySend(t.bufs)
	switch {
	case errno != 0:
		t.fail(errno)
	case n == 0 && t.total > 0:
		f.noSpace = true
		if f.kind == pipeEnd && !t.r.w.patient {
			t.fail(syscall.EAGAIN) // a pipe without blocking, before Linux 6.x
			return over
		}
		return t.wouldBlock()
	default:
		f.noSpace = n < t.total
		t.fails = n < t.total
		t.end(int32(n), 0, nil)
	}
	return over
}

// tryWaitid is WAITID for a child that is not reaped.
func (t *task) tryWaitid() verdict {
	const pidfd, exited, noWait = 3, 4, 0x1000000
	switch {
	case t.sqe.len != pidfd || t.sqe.file != exited|noWait || t.sqe.off != 0:
		t.violate("the simulated ring knows it for a pidfd, exited and not reaped, only")
	case t.file.kind != child:
		t.fail(syscall.EBADF)
	case !t.file.exited:
		return blocked
	default:
		t.end(0, 0, nil)
	}
	return over
}

// tryConnect is CONNECT: begun when it is taken, over when it is answered.
func (t *task) tryConnect() verdict {
	if t.answer == nil {
		t.answer = new(Errno)
		*t.answer = syscall.EINPROGRESS
		t.file.connectTo(t.message.to, func(errno Errno) {
			if *t.answer = errno; t.state == taskArmed {
				t.enqueue()
			}
		})
	}
	switch *t.answer {
	case syscall.EINPROGRESS:
		return blocked
	case 0:
		t.end(0, 0, nil)
	default:
		t.fail(*t.answer)
	}
	return over
}

// tryAccept is multishot ACCEPT.
func (t *task) tryAccept() verdict {
	l, w := t.file, t.r.w
	if t.sqe.ioprio != acceptMulti {
		t.violate("the simulated ring knows it as multishot only")
	}
	if l.stage != listening {
		t.fail(syscall.EINVAL)
		return over
	}
	for len(l.queue) > 0 {
		if w.net.chance(w.faults.Accept) {
			t.fail([4]Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM,
				syscall.ECONNABORTED}[w.net.below(4)])
			return over
		}
		s := l.queue[0]
		if errno := w.install(s); errno != 0 {
			t.fail(errno)
			return over
		}
		l.queue = l.queue[1:]
		s.record("accepted", int64(l.fd))
		if !t.r.postMore(t, int32(s.fd), 0, nil) {
			t.end(int32(s.fd), 0, nil)
			return over
		}
		t.r.m.busy = true
	}
	return t.wouldBlock()
}
