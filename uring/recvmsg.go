//go:build linux

package uring

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// RecvMsgOut is what PrepRecvMsgMultishot left in a provided buffer. Its slices
// are parts of the buffer and end with it.
type RecvMsgOut struct {
	Name    []byte // the sender's socket address, nil if it has none
	Control []byte // control messages
	Payload []byte
	// Len is the message's length, more than Payload's where that was cut off and
	// the receive said MSG_TRUNC.
	Len   int
	Flags int // MSG_TRUNC, MSG_CTRUNC, …
}

// recvMsgHeader is the size of struct io_uring_recvmsg_out: namelen, controllen,
// payloadlen, flags.
const recvMsgHeader = 16

// Parse takes buf apart: the first CQE.Res bytes of the provided buffer. msg is
// the header of the PrepRecvMsgMultishot. It is false if buf is too short to be
// such a message.
func (o *RecvMsgOut) Parse(buf []byte, msg *unix.Msghdr) bool {
	room := recvMsgHeader + int(msg.Namelen) + int(msg.Controllen)
	if len(buf) < room {
		return false
	}
	order := binary.NativeEndian
	name := int(min(order.Uint32(buf), msg.Namelen))
	control := min(int(order.Uint32(buf[4:])), int(msg.Controllen))
	o.Len = int(order.Uint32(buf[8:]))
	o.Flags = int(order.Uint32(buf[12:]))
	buf, o.Payload = buf[recvMsgHeader:room:room], buf[room:len(buf):len(buf)]
	o.Payload = o.Payload[:min(len(o.Payload), o.Len)]
	o.Name = buf[:name:name]
	o.Control = buf[msg.Namelen:][:control:control]
	return true
}
