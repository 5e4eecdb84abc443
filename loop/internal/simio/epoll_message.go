package simio

import (
	"syscall"
	"unsafe"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/sys"
	"github.com/sluice-net/sluice/transport"
)

// Send is send(2).
func (s *Epoll) Send(fd int, b []byte) (int, Errno) {
	return s.sendOn(fd, [][]byte{b}, nil)
}

// SendMsg is sendmsg(2).
func (s *Epoll) SendMsg(fd int, msg *sys.Msghdr) (int, Errno) {
	var name []byte
	if msg.Namelen > 0 {
		name = unsafe.Slice(msg.Name, msg.Namelen)
	}
	s.check(msg.Controllen == 0 && msg.Iovlen <= proactor.IOVMax, "sendmsg of something else")
	return s.sendOn(fd, vectors(unsafe.Slice(msg.Iov, msg.Iovlen)), name)
}

// vectors are what an iovec points to.
func vectors(iov []sys.Iovec) [][]byte {
	bufs := make([][]byte, len(iov))
	for i := range iov {
		bufs[i] = unsafe.Slice(iov[i].Base, iov[i].Len)
	}
	return bufs
}

func (s *Epoll) sendOn(fd int, bufs [][]byte, name []byte) (int, Errno) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.settle()
	f, errno := s.begin(fd, "send")
	switch {
	case errno != 0:
		return 0, errno
	case f.kind > datagramSocket:
		return 0, syscall.ENOTSOCK
	}
	var to transport.Addr
	if len(name) > 0 {
		var ok bool
		if to, ok = decodeAddr(name); !ok {
			return 0, syscall.EINVAL
		}
	}
	return s.send(f, bufs, to)
}

// RecvMany is recvmmsg(2) with MSG_TRUNC. What comes between two datagrams, an error for
// one, ends the batch.
func (s *Epoll) RecvMany(fd int, messages []sys.Message) (int, Errno) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.settle()
	f, errno := s.begin(fd, "recvmmsg")
	switch {
	case errno != 0:
		return 0, errno
	case f.kind != packetSocket && f.kind != datagramSocket:
		f.blame("recvmmsg on fd %d", fd)
	case !f.hasPacket():
		return s.empty(f, "recvmmsg")
	case s.net.chance(s.faults.Again):
		return 0, syscall.EAGAIN
	}
	most := s.part(len(messages), s.faults.PartialRead)
	for i := range most {
		if i > 0 && (f.err != 0 || !f.hasPacket()) {
			return i, 0
		}
		p, errno, _ := f.nextPacket()
		if errno != 0 && i > 0 {
			f.err = errno // for the next call
			return i, 0
		}
		if errno != 0 {
			f.record("received", -int64(errno))
			return 0, errno
		}
		s.layMessage(f, &messages[i], p)
	}
	return most, 0
}

// layMessage writes a datagram or message, and what is said of it.
func (s *Epoll) layMessage(f *file, m *sys.Message, p packet) {
	room := vectors(unsafe.Slice(m.Iov, m.Iovlen))[0]
	s.lent(f, room, "recvmmsg")
	poison(room)
	segment := 0
	control := unsafe.Slice(m.Control, m.Controllen)
	if len(control) > 0 && f.options[proactor.Coalesce] != 0 {
		segment = f.coalesce(&p, len(room))
	}
	m.Namelen = encodeAddr(unsafe.Slice(m.Name, m.Namelen), p.from)
	m.SetControllen(segmentOf(control, segment))
	m.N, m.Flags = uint32(len(p.data)), 0
	n := copy(room, p.data)
	if n < len(p.data) {
		m.Flags = msgTrunc
	}
	f.record("received", int64(n), room[:n])
}
