package simio

import (
	"slices"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// Datagrams in groups, and what a UDP socket's buffers hold.

// sendBufferUsual is how much a UDP socket may have on its way (Linux:
// net.core.wmem_default).
const sendBufferUsual = 212992

// datagramCost is what a datagram takes of a buffer besides its bytes.
const datagramCost = 256

// sendPacket sends a datagram, or a group of them, of which all go or none.
func (f *file) sendPacket(p proactor.Packet, to transport.Addr) Errno {
	if p.Segment == 0 {
		_, errno := f.sendWhole([][]byte{p.Data}, to)
		return errno
	}
	f.w.check(len(p.Data) > p.Segment && p.Count() <= proactor.SegmentsMax &&
		len(p.Data) <= proactor.SegmentedMax, "a group that is none, or too large")
	if errno := f.refuses(p.Segment, to); errno != 0 {
		return errno
	}
	switch {
	case f.family == proactor.Unix:
		return syscall.EINVAL
	case f.w.net.chance(f.w.faults.NoGroups):
		if f.w.net.below(8) == 0 {
			return syscall.EIO
		}
		return syscall.EINVAL
	case !f.hasRoom(len(p.Data) + p.Count()*datagramCost):
		return syscall.EAGAIN
	}
	for part := range slices.Chunk(slices.Clone(p.Data), p.Segment) {
		f.launch(part, to)
	}
	return 0
}

// hasRoom reports whether n more bytes may be on their way. One datagram always
// may, and those of peers without a loop.
func (f *file) hasRoom(n int) bool {
	return f.onWay == 0 || f.packer != nil || f.onWay+n <= f.sendBuffer()
}

// halfEmpty is what poll(2) calls room: half of it.
func (f *file) halfEmpty() bool { return f.onWay*2 <= f.sendBuffer() }

func (f *file) sendBuffer() int {
	if size := f.options[proactor.SendBuffer]; size != 0 {
		return size
	}
	return sendBufferUsual
}

// arrived notes that a datagram of n bytes left the sender's buffer.
func (f *file) arrived(n int) {
	f.onWay -= n + datagramCost
	f.touch()
}

// overflows reports whether there is no room for n bytes more in a receive buffer
// whose size was set.
func (f *file) overflows(n int) bool {
	size := f.options[proactor.ReceiveBuffer]
	if size == 0 {
		return false
	}
	for _, p := range f.packets {
		n += len(p.data) + datagramCost
	}
	return n > size
}

// coalesce makes p, which was the first datagram, as many as follow it from the
// same sender and are no longer, or fewer, and returns the size of each.
func (f *file) coalesce(p *packet, room int) (segment int) {
	size := len(p.data)
	for count := 1; len(f.packets) > 0 && count < proactor.SegmentsMax; count++ {
		next := f.packets[0]
		switch {
		case next.from != p.from, len(next.data) == 0, len(next.data) > size,
			len(p.data)%size != 0, len(p.data)+len(next.data) > room, f.w.net.below(8) == 0:
			return segment
		}
		p.data, segment = slices.Concat(p.data, next.data), size
		f.takePacket()
	}
	return segment
}

// queuesErrors reports whether the socket has an error queue.
func (f *file) queuesErrors() bool {
	return f.options[proactor.RecvErr] != 0 || f.options[proactor.RecvErr6] != 0
}

// queueError puts what became of a datagram into the error queue.
func (f *file) queueError(errno Errno, to transport.Addr, local bool) {
	if !f.queuesErrors() {
		return
	}
	q := proactor.QueuedError{Errno: errno, Local: local, Dest: to}
	if !local {
		q.Offender, q.V6, q.Type, q.Code = to.Addr(), to.Addr().Is6(), 3, 3
		if q.V6 {
			q.Type, q.Code = 1, 4
		}
	}
	f.errors = append(f.errors, q)
}

// TakeError implements proactor.Kernel. Reading the last one also ends the error
// that the next call would fail with, as in Linux.
func (e *calls) TakeError(fd int) (proactor.QueuedError, bool) {
	e.call()
	defer e.mu.Unlock()
	f := e.need(fd, "TakeError")
	if f == nil || len(f.errors) == 0 {
		return proactor.QueuedError{}, false
	}
	q := f.errors[0]
	f.errors = f.errors[1:]
	if len(f.errors) == 0 && !q.Local {
		f.err = 0
	}
	f.record("error queue", -int64(q.Errno))
	return q, true
}
