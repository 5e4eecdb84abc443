package simio

import (
	"syscall"
	"unsafe"

	"github.com/sluice-net/sluice/transport"
)

// The fields of an SQE besides opcode, flags, fd and user_data.
const (
	fieldIoprio = 1 << iota
	fieldOff
	fieldAddr
	fieldLen
	fieldFlags
	fieldBuf
	fieldFile
)

// fieldsOf are the fields that an operation may have something in.
var fieldsOf = map[uint8]int{
	opNop:        0,
	opWritev:     fieldAddr | fieldLen | fieldOff,
	opReadFixed:  fieldAddr | fieldLen | fieldOff | fieldBuf,
	opPollAdd:    fieldLen | fieldFlags,
	opPollRemove: fieldAddr,
	opSendMsg:    fieldAddr | fieldLen | fieldFlags | fieldIoprio,
	opRecvMsg:    fieldAddr | fieldLen | fieldFlags | fieldIoprio | fieldBuf,
	opAccept:     fieldIoprio | fieldFlags,
	opCancel:     fieldAddr | fieldFlags,
	opConnect:    fieldAddr | fieldOff,
	opRead:       fieldAddr | fieldLen | fieldOff | fieldBuf,
	opWrite:      fieldAddr | fieldLen | fieldOff,
	opSend:       fieldAddr | fieldLen | fieldFlags | fieldIoprio,
	opRecv:       fieldAddr | fieldLen | fieldFlags | fieldIoprio | fieldBuf,
	opWaitid:     fieldLen | fieldOff | fieldFile,
}

const flagsKnown = sqeLink | sqeHardlink | sqeAsync | sqeSelect | sqeSkip

// checkFields panics where something is left in a field that the operation does not
// have: of an older use of the entry, mostly.
func (t *task) checkFields() {
	e := &t.sqe
	allowed, known := fieldsOf[e.opcode]
	if !known {
		t.violate("the simulated ring does not know it")
	}
	if e.flags&^uint8(flagsKnown) != 0 {
		t.violate("flags %#x", e.flags)
	}
	for _, f := range [...]struct {
		field int
		value uint64
		name  string
	}{
		{fieldIoprio, uint64(e.ioprio), "ioprio"}, {fieldOff, e.off, "off"},
		{fieldAddr, e.addr, "addr"}, {fieldLen, uint64(e.len), "len"},
		{fieldFlags, uint64(e.opFlags), "op_flags"}, {fieldBuf, uint64(e.buf), "buf_index"},
		{fieldFile, uint64(e.file), "file_index"}, {0, uint64(e.personality), "personality"},
		{0, e.addr3, "addr3"}, {0, e.pad, "pad"},
	} {
		if allowed&f.field == 0 && f.value != 0 {
			t.violate("%s is %#x, which means nothing there", f.name, f.value)
		}
	}
	if e.buf != 0 && e.opcode != opReadFixed && e.flags&sqeSelect == 0 {
		t.violate("buf_group %d without BUFFER_SELECT", e.buf)
	}
}

// prepare reads what the SQE points to, and takes hold of its files.
func (t *task) prepare() {
	e := &t.sqe
	switch e.opcode {
	case opNop, opCancel, opPollRemove:
		return
	}
	m := t.r.m
	t.file = m.lookup(t.fd, t.title())
	if t.file == nil {
		t.bad = syscall.EBADF
		return
	}
	t.file.flights = append(t.file.flights, t)
	t.record(" taken", int32(e.len))
	switch e.opcode {
	case opSend, opWrite:
		t.bufs = [][]byte{t.lent(e.addr, uint64(e.len), "the data")}
	case opRecv, opRead, opReadFixed:
		t.prepareRecv()
	case opWritev:
		t.bufs = t.vector(e.addr, uint64(e.len))
	case opSendMsg:
		t.prepareSendMsg()
	case opRecvMsg:
		t.prepareRecvMsg()
	case opConnect:
		t.message = &message{to: t.address(e.addr, uint32(e.off))}
	case opPollAdd:
		t.asked = e.opFlags
	}
	for _, b := range t.bufs {
		t.total += len(b)
	}
}

func (t *task) prepareRecv() {
	e := &t.sqe
	if e.flags&sqeSelect != 0 {
		if e.addr != 0 {
			t.violate("an address and BUFFER_SELECT")
		}
		return
	}
	b := t.lent(e.addr, uint64(e.len), "the buffer")
	if e.opcode == opReadFixed && !t.r.registers(e.buf, e.addr, e.len) {
		t.violate("the buffer is not in registered buffer %d", e.buf)
	}
	t.bufs = [][]byte{b}
}

// message is what a msghdr says.
type message struct {
	to                  transport.Addr
	nameLen, controlLen uint32
}

// header reads the msghdr.
func (t *task) header() *msghdr {
	b := t.staged(t.sqe.addr, int(unsafe.Sizeof(msghdr{})), "the msghdr")
	return (*msghdr)(unsafe.Pointer(&b[0]))
}

func (t *task) prepareSendMsg() {
	h := t.header()
	if t.sqe.len != 1 || h.controlLen != 0 || h.flags != 0 {
		t.violate("a msghdr of %+v", *h)
	}
	t.bufs = t.vector(h.iov, h.iovLen)
	t.message = &message{to: t.address(h.name, h.nameLen)}
	t.message.nameLen = h.nameLen
}

// prepareRecvMsg reads how much room a multishot receive leaves for names and for
// control messages.
func (t *task) prepareRecvMsg() {
	if t.sqe.ioprio&recvMultishot == 0 || t.sqe.flags&sqeSelect == 0 {
		t.violate("the simulated ring knows it as multishot only")
	}
	h := t.header()
	if h.iovLen != 0 || h.iov != 0 || h.name != 0 || h.control != 0 {
		t.violate("a msghdr of %+v", *h)
	}
	t.message = &message{nameLen: h.nameLen, controlLen: uint32(h.controlLen)}
}

// iovecsMax is UIO_MAXIOV.
const iovecsMax = 1024

// vector reads n iovecs.
func (t *task) vector(addr, n uint64) [][]byte {
	if n > iovecsMax {
		t.bad = syscall.EMSGSIZE
		return nil
	}
	if n == 0 {
		return nil
	}
	raw := t.staged(addr, int(n)*int(unsafe.Sizeof(iovec{})), "the iovecs")
	var bufs [][]byte
	for _, v := range unsafe.Slice((*iovec)(unsafe.Pointer(&raw[0])), n) {
		bufs = append(bufs, t.lent(v.base, v.len, "the data"))
	}
	return bufs
}

// address reads a socket address. No bytes are the zero Addr.
func (t *task) address(addr uint64, n uint32) transport.Addr {
	if n == 0 {
		return transport.Addr{}
	}
	a, ok := decodeAddr(t.staged(addr, int(n), "the address"))
	if !ok {
		t.bad = syscall.EINVAL
	}
	return a
}
