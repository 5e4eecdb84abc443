package epoll

import (
	"syscall"
	"unsafe"

	"github.com/sluice-net/sluice/loop/internal/debug"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/sys"
	"golang.org/x/sys/unix"
)

// batchMax is the maximum number of datagrams in one recvmmsg.
const batchMax = 16

// batch is what recvmmsg fills in.
type batch struct {
	messages [batchMax]sys.Message
	iov      [batchMax]unix.Iovec
	from     [batchMax]sys.Sockaddr
	control  [batchMax][sys.ControlRoom / 8]uint64
	bufs     [batchMax][]byte
	size     int // of the arrays, in use
}

// newBatch takes up to batchMax buffers out of the pool, permanently, and leaves
// RecvAny the one that it needs: if only that one is left, newBatch allocates its
// own.
func (e *engine) newBatch() *batch {
	b := &batch{size: max(1, min(batchMax, e.cfg.BuffersMax-1))}
	for i := range b.size {
		var buf []byte
		if e.pool.Left() > 1 {
			_, buf = e.pool.Get()
		} else {
			buf = e.memory.Alloc(e.cfg.BufferSize)
		}
		b.bufs[i] = buf
		b.iov[i].Base = unsafe.SliceData(buf)
		b.iov[i].SetLen(len(buf))
		b.messages[i].Iov = &b.iov[i]
		b.messages[i].SetIovlen(1)
		b.messages[i].Name = (*byte)(b.from[i].Pointer())
	}
	return b
}

// recvMsg receives as many datagrams as are there, up to one batch. All are
// delivered even if a handler cancels the operation meanwhile, because nobody else
// will get them.
func (e *engine) recvMsg(s *slot, op *proactor.Op) {
	if e.batch == nil {
		e.batch = e.newBatch()
	}
	b := e.batch
	n, errno := b.recv(e, op)
	if errno == syscall.EAGAIN {
		return
	}
	if errno != 0 {
		s.release(op)
		e.fail(op, errno)
		return
	}
	about := op.Message
	for i := range n {
		m := &b.messages[i]
		b.from[i].Len = m.Namelen
		about.Addr = b.from[i].Addr()
		about.Truncated = m.Flags&unix.MSG_TRUNC != 0
		about.Size, about.Segment, about.Uncut = int(m.N), 0, false
		if about.Coalesced {
			size, known := sys.SegmentSize(b.controls(i), m.Flags&unix.MSG_CTRUNC != 0)
			about.Segment, about.Uncut = size, !known
		}
		data := b.bufs[i]
		data = data[:min(about.Size, len(data)):min(about.Size, len(data))]
		e.stats.Completed++
		op.Deliver(int32(len(data)), true, data)
		debug.Poison(data)
	}
	about.Truncated = false
}

// controls returns the control messages of a received datagram.
func (b *batch) controls(i int) []byte {
	all := unsafe.Slice((*byte)(unsafe.Pointer(&b.control[i])), sys.ControlRoom)
	return all[:min(uint64(b.messages[i].Controllen), sys.ControlRoom)]
}

// recv receives. With MSG_TRUNC a length is that of the datagram, even if there was
// no room for all of it.
func (b *batch) recv(e *engine, op *proactor.Op) (int, syscall.Errno) {
	for i := range b.size {
		m := &b.messages[i]
		m.Namelen, m.Flags, m.Control = sys.SockaddrSize, 0, nil
		m.SetControllen(0)
		if op.Message.Coalesced {
			m.Control = (*byte)(unsafe.Pointer(&b.control[i]))
			m.SetControllen(sys.ControlRoom)
		}
	}
	for {
		e.stats.Syscalls++
		n, errno := e.machine.RecvMany(op.FD, b.messages[:b.size])
		if errno != syscall.EINTR {
			return n, errno
		}
	}
}
