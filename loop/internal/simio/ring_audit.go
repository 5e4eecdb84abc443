package simio

import (
	"slices"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// auditor watches over the contract between an engine and its user.
type auditor struct {
	d       *Driven
	flying  []*audited // in flight, oldest first
	kept    []keptBuffer
	waiting bool
	halted  bool
}

// audited is an operation in flight, and its handler meanwhile. It keeps a copy of what
// the operation asks for.
type audited struct {
	a       *auditor
	op      *proactor.Op
	handler proactor.Handler
	code    proactor.Code
	fd      int
	buf     []byte
	bufs    [][]byte
	sum     uint32

	cancelled bool
}

// begin checks an operation before it is submitted, and begins to watch it.
func (a *auditor) begin(op *proactor.Op) {
	m := a.d.m
	m.check(!op.InFlight(), op.Code.String()+" submitted while in flight")
	x := &audited{a: a, op: op, handler: op.Handler, code: op.Code, fd: op.FD,
		buf: op.Buf, bufs: slices.Clone(op.Bufs)}
	if op.Handler == nil {
		return // the engine's own check
	}
	m.lookup(op.FD, "submit of "+op.Code.String())
	x.checkSlots()
	if op.Code == proactor.Recv {
		poison(op.Buf)
	}
	x.sum = checksum(x.sent())
	a.flying = append(a.flying, x)
	op.Handler = x
}

// sent is what the operation sends.
func (x *audited) sent() [][]byte {
	switch x.code {
	case proactor.Send:
		return [][]byte{x.buf}
	case proactor.SendMsg:
		return x.bufs
	}
	return nil
}

// memory is all that the operation has lent.
func (x *audited) memory() [][]byte {
	if x.code == proactor.SendMsg {
		return x.bufs
	}
	return [][]byte{x.buf}
}

// receives is what the operation receives from, -1 if nothing.
func (x *audited) receives() int {
	switch x.code {
	case proactor.Accept, proactor.Recv, proactor.RecvAny, proactor.RecvMsg:
		return x.fd
	}
	return -1
}

// sends is what the operation sends on, -1 if nothing.
func (x *audited) sends() int {
	switch x.code {
	case proactor.Connect, proactor.Send, proactor.SendMsg:
		return x.fd
	}
	return -1
}

// checkSlots panics where an operation would be a second receive or a second send.
func (x *audited) checkSlots() {
	for _, other := range x.a.flying {
		if fd := x.receives(); fd >= 0 && other.receives() == fd {
			x.a.blame(fd, "%s submitted with %s in flight: two receives on fd %d", x.code,
				other.code, fd)
		}
		if fd := x.sends(); fd >= 0 && other.sends() == fd {
			x.a.blame(fd, "%s submitted with %s in flight: two sends on fd %d", x.code,
				other.code, fd)
		}
	}
}

// blame is violate with what happened to fd last.
func (a *auditor) blame(fd int, format string, args ...any) {
	if f := a.d.m.open(fd); f != nil {
		f.blame(format, args...)
	}
	a.d.m.violate(format, args...)
}

// Complete implements proactor.Handler: it checks that both sides kept their hands off,
// and passes the completion on.
func (x *audited) Complete(op *proactor.Op) {
	x.a.d.within(func() { x.check(op) })
	if !op.More {
		op.Handler = x.handler
	}
	data := op.Data
	x.handler.Complete(op)
	if x.code == proactor.RecvAny && len(data) > 0 && op.Keep {
		x.a.d.within(func() { x.a.keep(op, data) })
	}
}

func (x *audited) check(op *proactor.Op) {
	a, m := x.a, x.a.d.m
	m.busy = true
	m.check(a.waiting, "a completion outside Wait")
	if op != x.op || op.Code != x.code || op.FD != x.fd || !same(op.Buf, x.buf) ||
		!slices.EqualFunc(op.Bufs, x.bufs, same) {
		a.blame(x.fd, "the owner changed its %s while it was in flight", x.code)
	}
	if checksum(x.sent()) != x.sum {
		a.blame(x.fd, "the buffer of a %s on fd %d was written to while it was the kernel's",
			x.code, x.fd)
	}
	if f := m.open(x.fd); f != nil {
		f.record(x.code.String()+" completes", int64(op.Res), op.Data)
	}
	x.checkResult(op)
	if op.More {
		return
	}
	i := slices.Index(a.flying, x)
	a.flying = slices.Delete(a.flying, i, i+1)
	x.checkLeft()
}

// checkLeft panics where the kernel still has the memory of what has ended.
func (x *audited) checkLeft() {
	for _, r := range x.a.d.m.rings {
		for _, t := range r.tasks {
			for _, b := range t.bufs {
				if len(b) > 0 && t.fd == x.fd && x.holds(uint64(address(b)), 1) {
					x.a.blame(x.fd, "%s on fd %d has ended, and a %s still has its memory",
						x.code, x.fd, t.title())
				}
			}
		}
	}
}

// holds reports whether n bytes at addr are in x's memory.
func (x *audited) holds(addr, n uint64) bool {
	for _, b := range x.memory() {
		start := uint64(address(b))
		if addr >= start && addr-start+n <= uint64(len(b)) {
			return true
		}
	}
	return false
}

// owns reports whether memory was lent by an operation in flight.
func (a *auditor) owns(addr, n uint64) bool {
	for _, x := range a.flying {
		if x.holds(addr, n) {
			return true
		}
	}
	return false
}

// checkIdle panics when an operation is in flight on fd.
func (a *auditor) checkIdle(fd int) {
	for _, x := range a.flying {
		if x.fd == fd {
			a.blame(fd, "CloseFD of fd %d with %s in flight on it", fd, x.code)
		}
	}
}

// checkNoSend panics when a send is in flight on fd.
func (a *auditor) checkNoSend(fd int, what string) {
	for _, x := range a.flying {
		if x.sends() == fd && x.code != proactor.Connect {
			a.blame(fd, "%s on fd %d with %s in flight", what, fd, x.code)
		}
	}
}

// alloc notes memory of Alloc.
func (a *auditor) alloc(b []byte) {
	pieces := &a.d.m.memory.pieces
	i, _ := a.d.m.memory.search(address(b))
	*pieces = slices.Insert(*pieces, i, &piece{mem: b})
}

// free forgets memory of Alloc, spoiled. The engine checks that it is whole.
func (a *auditor) free(b []byte) {
	m := a.d.m
	for _, x := range a.flying {
		for _, lent := range x.memory() {
			if len(lent) > 0 && (m.memory.find(lent) == m.memory.find(b)) &&
				m.memory.find(b) != nil {
				m.violate("Free of %d bytes with %s in flight on them", len(b), x.code)
			}
		}
	}
	i, ok := m.memory.search(address(b))
	if !ok || !same(m.memory.pieces[i].mem, b) {
		m.violate("Free of %d bytes that are not whole from Alloc", len(b))
	}
	m.memory.pieces = slices.Delete(m.memory.pieces, i, i+1)
	poison(b)
}
