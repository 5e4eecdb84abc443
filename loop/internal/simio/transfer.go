package simio

import "syscall"

// tryRecv is Recv: once, into the owner's buffer.
func (fl *flight) tryRecv() {
	f, w := fl.file, fl.e.World
	if f.kind == datagramSocket || f.kind == packetSocket {
		fl.tryRecvDatagram()
		return
	}
	if errno := f.connectedErrno(); errno != 0 {
		fl.fail(errno)
		return
	}
	if avail, _, ok := f.peek(); ok && avail > 0 {
		f.maybeReset(false)
	}
	avail, errno, ok := f.received()
	switch {
	case !ok:
	case errno != 0:
		fl.fail(errno)
	default:
		n := w.part(min(avail, len(fl.buf)), w.faults.PartialRead)
		fl.fill(f.rxTake(n))
		fl.finish(int32(n))
	}
}

// fill writes what was received into the owner's buffer.
func (fl *flight) fill(data []byte) {
	fl.checkOwner()
	copy(fl.buf, data)
	fl.sum = checksum(fl.memory())
}

// peek is received without consuming the error.
func (f *file) peek() (avail int, errno Errno, ok bool) {
	pending := f.err
	avail, errno, ok = f.received()
	f.err = pending
	return avail, errno, ok
}

// rxTake takes n bytes; an end of the stream, n = 0, leaves the lane alone.
func (f *file) rxTake(n int) []byte {
	if n == 0 {
		return nil
	}
	return f.rx.take(n)
}

// tryRecvAny is RecvAny: until the end, into buffers of the pool.
func (fl *flight) tryRecvAny() {
	f, w := fl.file, fl.e.World
	if errno := f.connectedErrno(); errno != 0 {
		fl.fail(errno)
		return
	}
	for fl.state == running {
		if avail, _, ok := f.peek(); ok && avail > 0 {
			f.maybeReset(false)
		}
		avail, _, ok := f.peek()
		if !ok {
			return
		}
		if avail == 0 {
			_, errno, _ := f.received()
			fl.finish(-int32(errno))
			return
		}
		buf := fl.e.takeBuffer(fl)
		if buf == nil {
			return
		}
		n := w.part(min(avail, len(buf)), w.faults.PartialRead)
		copy(buf, f.rxTake(n))
		fl.more(completion{res: int32(n), data: buf[:n]})
	}
}

// trySend is Send and SendMsg.
func (fl *flight) trySend() {
	f, w := fl.file, fl.e.World
	if f.kind == datagramSocket || f.kind == packetSocket {
		fl.trySendDatagram()
		return
	}
	if errno := f.connectedErrno(); errno != 0 {
		fl.fail(errno)
		return
	}
	f.maybeReset(true)
	total := fl.total
	for fl.done < total {
		room, errno := f.writable()
		if errno != 0 {
			fl.fail(errno)
			return
		}
		if room == 0 {
			fl.short()
			return // Linux's send buffer: it goes on when there is room
		}
		n := w.part(min(room, total-fl.done), w.faults.PartialWrite)
		f.putFrom(fl.memory(), fl.done, n)
		fl.done += n
		if fl.done < total && n < room {
			if fl.short() {
				fl.again()
			}
			return
		}
	}
	fl.finish(int32(fl.done))
}

// short is called when there was no room for all of a send. Its owner may wait for it
// from now on. It reports whether the send goes on.
func (fl *flight) short() bool {
	fl.lazy = false
	switch {
	case !fl.op.Once:
		return true
	case fl.done > 0:
		fl.finish(int32(fl.done))
	default:
		fl.fail(syscall.EAGAIN)
	}
	return false
}

// putFrom puts n bytes of bufs, from position skip on; there is room.
func (f *file) putFrom(bufs [][]byte, skip, n int) {
	for _, b := range bufs {
		if skip >= len(b) {
			skip -= len(b)
			continue
		}
		part := b[skip:min(len(b), skip+n)]
		if f.tx.put(part) != len(part) {
			panic("simio: room was promised and is not there")
		}
		n -= len(part)
		if n == 0 {
			return
		}
		skip = 0
	}
}

// TrySend implements proactor.Kernel.
func (e *calls) TrySend(fd int, bufs [][]byte) (int, error) {
	e.call()
	defer e.mu.Unlock()
	f := e.need(fd, "TrySend")
	if f == nil {
		return 0, sysError("sendmsg", syscall.EBADF)
	}
	f.checkNoSend("TrySend")
	e.memory.checkLive(f, bufs)
	n, errno := f.trySend(bufs)
	f.record("trysend", int64(n)-int64(errno), bufs...)
	e.settle()
	if errno != 0 {
		return 0, sysError("sendmsg", errno)
	}
	return n, nil
}

func (f *file) trySend(bufs [][]byte) (int, Errno) {
	if f.kind == datagramSocket || f.kind == packetSocket {
		return f.sendWhole(bufs, f.remote)
	}
	if f.stage != connected {
		if f.stage == connecting {
			return 0, 0
		}
		return 0, syscall.ENOTCONN
	}
	f.maybeReset(true)
	room, errno := f.writable()
	total := 0
	for _, b := range bufs {
		total += len(b)
	}
	n := min(room, total)
	if errno != 0 || n == 0 {
		return 0, errno
	}
	if f.w.net.chance(f.w.faults.PartialWrite) {
		n = f.w.net.below(n + 1)
	}
	if n > 0 {
		f.putFrom(bufs, 0, n)
	}
	return n, 0
}
