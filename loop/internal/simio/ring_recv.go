package simio

import (
	"encoding/binary"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// loopsMax is how many completions a multishot receive makes before others have
// their turn (Linux: MULTISHOT_MAX_RETRY).
const loopsMax = 32

// tryRecv is RECV: once, or multishot.
func (t *task) tryRecv() verdict {
	f := t.file
	switch {
	case f.kind > datagramSocket:
		t.fail(syscall.ENOTSOCK)
		return over
	case t.sqe.opFlags != 0:
		t.violate("flags %#x", t.sqe.opFlags)
	case t.sqe.ioprio&recvMultishot == 0:
		return t.receiveOnce()
	case t.sqe.flags&sqeSelect == 0:
		t.fail(syscall.EINVAL)
		return over
	case f.kind != streamSocket:
		t.violate("datagrams and messages are received by RECVMSG")
	}
	for {
		if v, done := t.receive(true); done {
			return v
		}
		if t.loops++; t.loops%loopsMax == 0 {
			return requeue
		}
	}
}

func (t *task) receiveOnce() verdict {
	if t.file.kind == datagramSocket {
		return t.receivePacket()
	}
	v, _ := t.receive(false)
	return v
}

// receive receives from a stream into the task's buffer, or one of its group. It
// reports false where a multishot one goes on at once.
func (t *task) receive(multishot bool) (verdict, bool) {
	f, w := t.file, t.r.w
	if errno := f.connectedErrno(); errno != 0 {
		t.fail(errno)
		return over, true
	}
	if avail, _, ok := f.peek(); ok && avail > 0 {
		f.maybeReset(false)
	}
	buf, lent := t.room()
	if buf == nil {
		t.fail(syscall.ENOBUFS) // looked for before there is data
		return over, true
	}
	avail, errno, ok := f.received()
	switch {
	case !ok:
		if f.kind == pipeEnd && !w.patient {
			t.fail(syscall.EAGAIN) // a pipe without blocking, before Linux 6.x
			return over, true
		}
		return t.wouldBlock(), true
	case errno != 0:
		t.fail(errno)
		return over, true
	case avail == 0:
		t.endRead(0, lent)
		return over, true
	}
	n := w.part(min(avail, len(buf)), w.faults.PartialRead)
	copy(buf, f.rxTake(n))
	f.record("received", int64(n), buf[:n])
	if !multishot {
		t.endRead(n, lent)
		return over, true
	}
	flags := t.take(lent)
	if len(f.rx.in) > 0 && (!f.rx.local || w.tells) {
		flags |= cqeNonEmpty
	}
	t.r.m.busy = true
	if !t.r.postMore(t, int32(n), flags, lent) {
		t.end(int32(n), flags, lent)
		return over, true
	}
	return over, false
}

// room is where the next bytes go: the task's own buffer, or the next of its group,
// which is not taken yet. It is nil where there is none.
func (t *task) room() ([]byte, *provided) {
	if t.sqe.flags&sqeSelect == 0 {
		return t.bufs[0], nil
	}
	g := t.r.group(t.sqe.buf)
	if g == nil {
		return nil, nil
	}
	w := t.r.w
	if w.net.chance(w.faults.NoBuffers) {
		return nil, nil
	}
	p := g.peek()
	if p == nil {
		return nil, nil
	}
	if n := int(t.sqe.len); t.message == nil && n > 0 && n < len(p.mem) {
		return p.mem[:n], p
	}
	return p.mem, p
}

// take takes the buffer that room has returned, and says so.
func (t *task) take(p *provided) uint32 {
	if p == nil {
		return 0
	}
	p.take()
	return cqeBuffer | uint32(p.id)<<16
}

// endRead ends a receive of n bytes. An end without bytes takes a buffer on some
// kernels.
func (t *task) endRead(n int, lent *provided) {
	if n == 0 && !t.r.w.greedy {
		lent = nil
	}
	t.fails = t.file.kind != streamSocket && n < t.total
	t.end(int32(n), t.take(lent), lent)
}

// receivePacket is RECV of a datagram, cut to the buffer.
func (t *task) receivePacket() verdict {
	f := t.file
	switch {
	case f.err != 0:
		t.fail(f.takeError())
	case len(f.packets) == 0:
		return t.wouldBlock()
	default:
		buf, lent := t.room()
		if buf == nil {
			t.fail(syscall.ENOBUFS)
			return over
		}
		n := copy(buf, f.takePacket().data)
		t.endRead(n, lent)
	}
	return over
}

// tryRecvMsg is multishot RECVMSG of datagrams or messages. Each has a header, room for the
// sender's name and for control messages in front of it.
func (t *task) tryRecvMsg() verdict {
	f, r := t.file, t.r
	if f.kind != datagramSocket && f.kind != packetSocket {
		t.fail(syscall.EINVAL)
		return over
	}
	for {
		buf, lent := t.room()
		if buf == nil {
			t.fail(syscall.ENOBUFS)
			return over
		}
		head := recvHeader + int(t.message.nameLen) + int(t.message.controlLen)
		switch {
		case len(buf) < head:
			t.fail(syscall.EFAULT)
			return over
		}
		p, errno, ok := f.nextPacket()
		switch {
		case !ok:
			return t.wouldBlock()
		case errno != 0:
			t.fail(errno)
			return over
		}
		n := t.layPacket(buf, head, p)
		f.record("received", int64(n), buf[:head+n])
		flags := t.take(lent)
		r.m.busy = true
		if n == 0 || !r.postMore(t, int32(head+n), flags, lent) {
			t.end(int32(head+n), flags, lent) // an empty one ends it
			return over
		}
		if t.loops++; t.loops%loopsMax == 0 {
			return requeue
		}
	}
}

// recvHeader is the size of struct io_uring_recvmsg_out.
const recvHeader = 16

// layPacket writes a datagram behind head bytes of what is said of it.
func (t *task) layPacket(buf []byte, head int, p packet) int {
	f := t.file
	room := buf[head:]
	segment := 0
	if t.message.controlLen > 0 && f.options[proactor.Coalesce] != 0 {
		segment = f.coalesce(&p, len(room))
	}
	name := encodeAddr(buf[recvHeader:recvHeader+int(t.message.nameLen)], p.from)
	control := segmentOf(buf[recvHeader+int(t.message.nameLen):head], segment)
	n := copy(room, p.data)
	length, flags := n, 0
	if n < len(p.data) {
		flags = msgTrunc
		if t.sqe.opFlags&msgTrunc != 0 {
			length = len(p.data)
		}
	}
	order := binary.NativeEndian
	order.PutUint32(buf, name)
	order.PutUint32(buf[4:], uint32(control))
	order.PutUint32(buf[8:], uint32(length))
	order.PutUint32(buf[12:], uint32(flags))
	return n
}

// segmentOf writes the control message UDP_GRO, and returns its length.
func segmentOf(b []byte, segment int) int {
	const size, space, udp, gro = 20, 24, 17, 104
	if segment == 0 || len(b) < space {
		return 0
	}
	order := binary.NativeEndian
	order.PutUint64(b, size)
	order.PutUint32(b[8:], udp)
	order.PutUint32(b[12:], gro)
	order.PutUint32(b[16:], uint32(segment))
	return space
}
