package iouring

import (
	"encoding/binary"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/sys"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/uring"
	"golang.org/x/sys/unix"
)

// A receive into shared buffers is multishot as long as there is little to receive:
// then it costs a completion for each message and nothing else. A connection that
// fills buffers would take all there are in one go, and find none for more. So it
// takes one at a time until it is quiet again:
//
//	multishot --bulkAfter bytes in a round--> leaving --cancelled--> one at a time
//	          --no buffer---------------------------------starved--> one at a time
//	one at a time --buffers are scarce and there is more--> starved
//	              --a buffer not full, and no more--> multishot
//
// starved: on the list of those that wait for a buffer, see pool.
const bulkAfter = fairShare / 2

// completeAny delivers what a multishot receive put into a shared buffer, and
// gives the buffer back.
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

// deliverBuffer delivers what is in the buffer of a completion, and gives that back.
// It reports whether the receive goes on.
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
		e.more(op, cqe.Res, data)
	default:
		goesOn = false
	}
	p.giveBack(id, len(data))
	return goesOn
}

// leaveBulk ends a multishot receive that brings too much.
func (e *engine) leaveBulk(op *proactor.Op) {
	if op.Engine.Flag&flagLeaving == 0 && !op.Cancelling() && e.share(op, 0) >= bulkAfter {
		op.Engine.Flag |= flagLeaving
		e.cancel(op)
	}
}

// receiveOn arms a receive again whose last completion in the kernel was cqe.
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

// deliverDatagram takes apart what multishot RECVMSG writes: a header of four
// words (name length, control length, payload length, flags), room for the
// name, for control messages, and the payload
// (io_uring_prep_recvmsg_multishot(3)). With MSG_TRUNC the payload's length is the
// datagram's, also where there was no room for all of it.
func (e *engine) deliverDatagram(op *proactor.Op, data []byte) {
	nameLen := binary.NativeEndian.Uint32(data)
	controlLen := binary.NativeEndian.Uint32(data[4:])
	op.Size = int(binary.NativeEndian.Uint32(data[8:]))
	flags := binary.NativeEndian.Uint32(data[12:])
	name, payload := data[headerSize:headerSize+sys.SockaddrSize], data[datagramHead:]
	op.Segment, op.Uncut = 0, false
	if op.Coalesced {
		control := data[headerSize+sys.SockaddrSize : datagramHead]
		size, known := sys.SegmentSize(control[:min(controlLen, sys.ControlRoom)],
			flags&unix.MSG_CTRUNC != 0)
		op.Segment, op.Uncut = size, !known
	}
	op.Addr = senderName(name, nameLen)
	op.Truncated = flags&unix.MSG_TRUNC != 0
	e.more(op, int32(len(payload)), payload)
}

// senderName decodes the address that the kernel wrote in front of a datagram.
func senderName(raw []byte, n uint32) transport.Addr {
	var a sys.Sockaddr
	a.Load(raw[:min(n, uint32(len(raw)))])
	return a.Addr()
}
