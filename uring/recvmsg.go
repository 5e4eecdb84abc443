//go:build linux

package uring

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// RecvMsgOut is what PrepRecvMsgMultishot left in a provided buffer. Its slices are
// parts of the buffer and are valid only as long as it is.
type RecvMsgOut struct {
	Name    []byte // the sender's address for Sockaddr.SetBytes, empty if it has none
	Control []byte // control messages
	Payload []byte
	// Len is the message's length. It exceeds that of Payload if the message was
	// truncated and the receive had MSG_TRUNC.
	Len   int
	Flags int // MSG_TRUNC, MSG_CTRUNC, …
}

// recvMsgHeader is the size of struct io_uring_recvmsg_out: namelen, controllen,
// payloadlen, flags.
const recvMsgHeader = 16

// Parse parses buf, the first CQE.Res bytes of the provided buffer. msg is the
// header that was passed to PrepRecvMsgMultishot. Parse reports false if buf is too
// short to be such a message.
func (o *RecvMsgOut) Parse(buf []byte, msg *unix.Msghdr) bool {
	room := recvMsgHeader + uint64(msg.Namelen) + uint64(msg.Controllen)
	if uint64(len(buf)) < room {
		return false
	}
	order := binary.NativeEndian
	name := min(order.Uint32(buf), msg.Namelen)
	control := min(uint64(order.Uint32(buf[4:])), uint64(msg.Controllen))
	length := order.Uint32(buf[8:])
	o.Len = int(length)
	o.Flags = int(order.Uint32(buf[12:]))
	o.Payload = buf[room:len(buf):len(buf)]
	o.Payload = o.Payload[:min(uint64(len(o.Payload)), uint64(length))]
	buf = buf[recvMsgHeader:room:room]
	o.Name = buf[:name:name]
	o.Control = buf[msg.Namelen:][:control:control]
	return true
}
