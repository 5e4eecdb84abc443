package iouring

import (
	"github.com/sluice-net/sluice/loop/internal/debug"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/sys"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/uring"
	"golang.org/x/sys/unix"
)

// A receive into shared buffers is multishot for as long as there is little to
// receive: it then costs one completion for each message and nothing else. A
// connection that fills buffers would take all there are at once, and find none for
// more. So such a connection takes one at a time until it is quiet again:
//
//	multishot --bulkAfter bytes in a round--> leaving --cancelled--> one at a time
//	          --no buffer---------------------------------starved--> one at a time
//	one at a time --buffers are scarce and there is more--> starved
//	              --a buffer not full, and no more--> multishot
//
// starved: on the list of receives that wait for a buffer, see pool.
const bulkAfter = fairShare / 2

// completeAny delivers what a receive put into a shared buffer, and gives the buffer
// back.
func (e *engine) completeAny(op *proactor.Op, cqe uring.CQE) {
	if cqe.Res == enobufs {
		op.Engine.Flag |= flagBulk
		op.Engine.Flag &^= flagLeaving
		e.starve(op)
		return
	}
	if cqe.HasBuffer() && e.deliverBuffer(op, cqe) {
		switch {
		case !cqe.More():
			e.receiveOn(op, cqe)
		case op.Code == proactor.RecvAny:
			e.leaveBulk(op)
		}
		return
	}
	switch {
	case cqe.More():
	case cqe.Res == ecanceled && !op.Cancelling():
		e.receiveOn(op, cqe)
	case cqe.Res == eagain || cqe.Res == eintr || e.early(op, cqe.Res):
		op.Engine.Flag |= flagPollFirst
		e.again(op)
	default:
		e.finish(op, cqe.Res)
	}
}

// deliverBuffer delivers the contents of a completion's buffer, and gives the
// buffer back unless its receiver keeps it. It reports whether the receive continues.
func (e *engine) deliverBuffer(op *proactor.Op, cqe uring.CQE) bool {
	id, p := cqe.BufID(), e.poolOf(op)
	op.Engine.Flag |= flagServed
	data := p.buffer(id)[:max(cqe.Res, 0)]
	goesOn := true
	switch {
	case op.Code == proactor.RecvMsg && cqe.Res >= 0:
		e.share(op, len(data))
		e.deliverDatagram(op, data)
	case cqe.Res > 0:
		e.share(op, len(data))
		op.Keep, op.Keepable, op.Buffer = false, p.keepable(), id
		e.more(op, cqe.Res, data)
		if op.Keep {
			p.keep(len(data))
			return true
		}
	default:
		goesOn = false
	}
	p.giveBack(id, len(data))
	return goesOn
}

// leaveBulk ends a multishot receive that delivers too much.
func (e *engine) leaveBulk(op *proactor.Op) {
	if op.Engine.Flag&flagLeaving == 0 && !op.Cancelling() && e.share(op, 0) >= bulkAfter {
		op.Engine.Flag |= flagLeaving
		e.cancel(op)
	}
}

// receiveOn rearms a receive whose last completion in the kernel was cqe.
func (e *engine) receiveOn(op *proactor.Op, cqe uring.CQE) {
	if op.Engine.Flag&flagLeaving != 0 {
		op.Engine.Flag &^= flagLeaving
		op.Engine.Flag |= flagBulk
	}
	if op.Engine.Flag&flagBulk == 0 || op.Code == proactor.RecvMsg {
		e.again(op)
		return
	}
	switch {
	case cqe.Res > 0 && int(cqe.Res) < e.cfg.BufferSize && !cqe.SockNonEmpty():
		op.Engine.Flag &^= flagBulk
	case e.pool.scarce():
		e.starve(op)
		return
	}
	e.again(op)
}

// deliverDatagram delivers what a multishot RECVMSG has written. With MSG_TRUNC the
// payload's length is that of the datagram, even if there was no room for all of
// it.
func (e *engine) deliverDatagram(op *proactor.Op, data []byte) {
	var out uring.RecvMsgOut
	ok := out.Parse(data, e.layoutOf(op))
	debug.Assert(ok, "a datagram has the head that was asked for")
	about := op.Message
	about.Segment, about.Uncut = 0, false
	if about.Coalesced {
		size, known := sys.SegmentSize(out.Control, out.Flags&unix.MSG_CTRUNC != 0)
		about.Segment, about.Uncut = size, !known
	}
	about.Addr = senderName(out.Name)
	about.Size, about.Truncated = out.Len, out.Flags&unix.MSG_TRUNC != 0
	e.more(op, int32(len(out.Payload)), out.Payload)
}

// datagramLayouts returns the two layouts of what precedes a datagram: struct
// io_uring_recvmsg_out, the sender's address and, in the second one, control
// messages. So that all datagrams begin at the same place, the first layout gives
// all of that room to the address.
func datagramLayouts() (layouts [2]unix.Msghdr) {
	layouts[0].Namelen = sys.SockaddrSize + sys.ControlRoom
	layouts[1].Namelen = sys.SockaddrSize
	layouts[1].SetControllen(sys.ControlRoom)
	return layouts
}

// layoutOf returns the layout for the datagrams of op.
func (e *engine) layoutOf(op *proactor.Op) *unix.Msghdr {
	if op.Message.Coalesced {
		return &e.layouts[1]
	}
	return &e.layouts[0]
}

// datagramHead is the size of either.
const datagramHead = 16 + sys.SockaddrSize + sys.ControlRoom

// senderName decodes the address that the kernel wrote in front of a datagram.
func senderName(raw []byte) transport.Addr {
	var a sys.Sockaddr
	a.SetBytes(raw)
	return a.Addr()
}
