package simio

import (
	"slices"
	"syscall"
)

// Messages of SOCK_SEQPACKET, on a local lane. The lane's bytes are those of the
// messages, and lengths says where each ends.

// messageHead is how many bytes shorter than the send buffer a message must be
// (unix_dgram_sendmsg).
const messageHead = 32

// putMessage appends a message to a lane, all of it.
func (l *lane) putMessage(data []byte) {
	l.lengths = append(l.lengths, len(data))
	l.in = append(l.in, data...)
	l.accepted += int64(len(data))
	l.arrived += int64(len(data))
	l.to.comings++ // an empty one is one too
	l.to.touch()
}

// takeMessage removes the first message, of which there is one.
func (l *lane) takeMessage() []byte {
	n := l.lengths[0]
	l.lengths = l.lengths[1:]
	return l.take(n)
}

// unread reports whether something has arrived and was not received.
func (l *lane) unread() bool { return len(l.in) > 0 || len(l.lengths) > 0 }

// sendMessage is a send on a socket of messages. If there is any room, a message is taken
// (Linux: sock_alloc_send_pskb), and two connected sockets have no limit of their number.
func (f *file) sendMessage(bufs [][]byte) (int, Errno) {
	if errno := f.connectedErrno(); errno != 0 {
		return 0, errno
	}
	f.maybeReset(true)
	data := slices.Concat(bufs...)
	room, errno := f.writable()
	switch {
	case errno != 0:
		return 0, errno
	case len(data) > f.tx.outMax-messageHead:
		return 0, syscall.EMSGSIZE
	case room == 0:
		return 0, syscall.EAGAIN
	}
	f.tx.putMessage(data)
	return len(data), 0
}

// nextMessage says what a receive finds: a packet, or an end (empty), or an error; ok is
// false where it has to wait.
func (f *file) nextMessage() (p packet, errno Errno, ok bool) {
	if errno := f.connectedErrno(); errno != 0 {
		return packet{}, errno, true
	}
	if f.rx.unread() {
		f.maybeReset(false)
	}
	if f.rx.unread() {
		return packet{data: slices.Clone(f.rx.takeMessage())}, 0, true
	}
	_, errno, ok = f.received()
	return packet{}, errno, ok
}

// nextPacket is nextMessage for sockets of datagrams as well.
func (f *file) nextPacket() (p packet, errno Errno, ok bool) {
	switch {
	case f.kind == packetSocket:
		return f.nextMessage()
	case f.err != 0:
		return packet{}, f.takeError(), true
	case len(f.packets) > 0:
		return f.takePacket(), 0, true
	}
	return packet{}, 0, false
}

// hasPacket reports whether nextPacket need not wait.
func (f *file) hasPacket() bool {
	if f.kind == packetSocket {
		_, _, ok := f.peek()
		return ok || f.rx.unread()
	}
	return f.err != 0 || len(f.packets) > 0
}
