package sys

import (
	"encoding/binary"
	"iter"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Several datagrams in one message. UDP_SEGMENT (Linux 4.18, udp(7)) makes the kernel
// cut what is sent into datagrams of one size as late as it can, at best in the network
// card. UDP_GRO (Linux 5.0) hands over several datagrams of one sender in one piece,
// with their size.

// segmentControl is a control message with the size of datagrams to send.
type segmentControl struct {
	unix.Cmsghdr
	size uint16
	_    [6]byte // CMSG_SPACE
}

// set makes the message h be sent as datagrams of size bytes.
func (c *segmentControl) set(h *unix.Msghdr, size int) {
	c.Level, c.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
	c.SetLen(unix.CmsgLen(int(unsafe.Sizeof(c.size))))
	c.size = uint16(size)
	h.Control = (*byte)(unsafe.Pointer(c))
	h.SetControllen(unix.CmsgSpace(int(unsafe.Sizeof(c.size))))
}

// ControlRoom is the room for control messages in a receive of several datagrams at
// once. The message with their size comes after those that a user may have asked for
// with options of the socket (SO_TIMESTAMP, SO_TIMESTAMPING, SO_RXQ_OVFL, SO_RCVMARK,
// SO_RCVPRIORITY, SO_WIFI_STATUS: 248 bytes together with it) and before those of IP
// (udp_recvmsg in net/ipv4/udp.c, Linux 6.18). There may be no room for the latter, which
// are not needed.
const ControlRoom = 512

// SegmentSize returns the size of the datagrams that a message with these control
// messages consists of, or 0 if it is one datagram. truncated is MSG_CTRUNC: there was no
// room for all control messages. known is false if the size may be one of those that are
// missing; it cannot be if one of IP is there, because those come later.
func SegmentSize(control []byte, truncated bool) (size int, known bool) {
	known = !truncated
	for kind, data := range controls(control) {
		switch kind.level {
		case unix.IPPROTO_UDP:
			if kind.kind == unix.UDP_GRO && len(data) >= 4 {
				return int(binary.NativeEndian.Uint32(data)), true
			}
		case unix.IPPROTO_IP, unix.IPPROTO_IPV6:
			known = true
		}
	}
	return 0, known
}

// controlKind identifies a control message.
type controlKind struct{ level, kind int32 }

// controls are the control messages that the kernel wrote (cmsg(3)).
func controls(b []byte) iter.Seq2[controlKind, []byte] {
	return func(yield func(controlKind, []byte) bool) {
		head := unix.CmsgLen(0)
		for len(b) >= head {
			h := (*unix.Cmsghdr)(unsafe.Pointer(unsafe.SliceData(b)))
			size := int(h.Len)
			if size < head || size > len(b) ||
				!yield(controlKind{h.Level, h.Type}, b[head:size]) {
				return
			}
			b = b[min(unix.CmsgSpace(size-head), len(b)):]
		}
	}
}
