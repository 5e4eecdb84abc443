package simio

import (
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/sys"
	"github.com/sluice-net/sluice/transport"
)

// Accept is accept4(2) of a listener that does not block.
func (s *Epoll) Accept(fd int) (int, Errno) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.settle()
	l, errno := s.begin(fd, "accept")
	switch {
	case errno != 0:
		return 0, errno
	case l.kind > datagramSocket:
		return 0, syscall.ENOTSOCK
	case l.stage != listening:
		return 0, syscall.EINVAL
	case len(l.queue) == 0:
		return s.empty(l, "accept")
	case s.net.chance(s.faults.Accept):
		return 0, [3]Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM}[s.net.below(3)]
	}
	if s.net.chance(s.faults.Interrupt) {
		return 0, syscall.ECONNABORTED // of one that nobody knows of
	}
	f := l.queue[0]
	if errno := s.install(f); errno != 0 {
		return 0, errno
	}
	l.queue = l.queue[1:]
	f.record("accepted", int64(l.fd))
	return f.fd, 0
}

// Connect is connect(2) of a socket that does not block. Interrupted, it goes on as if
// it had said EINPROGRESS.
func (s *Epoll) Connect(fd int, addr *sys.Sockaddr) Errno {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.settle()
	f := s.need(fd, "connect")
	if f == nil {
		return syscall.EBADF
	}
	s.busy = true
	to, ok := decodeAddr(addr.Bytes())
	switch {
	case !ok:
		return syscall.EINVAL
	case f.backlogFull(to):
		return syscall.EAGAIN
	}
	answer, begun := syscall.EINPROGRESS, false
	f.connectTo(to, func(errno Errno) {
		if answer = errno; begun && errno != 0 && f.stage != gone {
			f.err = errno
		}
		f.touch()
	})
	begun = true
	f.record("connect", int64(answer))
	if answer == syscall.EINPROGRESS && s.net.chance(s.faults.Interrupt) {
		return syscall.EINTR
	}
	return answer
}

// backlogFull reports whether addr is a Unix listener that takes nobody for now.
func (f *file) backlogFull(addr transport.Addr) bool {
	if addr.Path == "" || !f.isConnection() {
		return false
	}
	l := f.w.lookup(f.kind, addr, (*file).listens)
	return l != nil && len(l.queue) > l.backlog
}

// SocketError is SO_ERROR. Before a connect is answered it says nothing of it.
func (s *Epoll) SocketError(fd int) Errno {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.need(fd, "getsockopt")
	if f == nil {
		return syscall.EBADF
	}
	if f.stage == connecting {
		f.blame("SO_ERROR of fd %d, whose connect was not answered yet", fd)
	}
	return f.takeError()
}

// Recv is recv(2).
func (s *Epoll) Recv(fd int, b []byte) (int, Errno) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.settle()
	f, errno := s.begin(fd, "recv")
	switch {
	case errno != 0:
		return 0, errno
	case f.kind > datagramSocket:
		return 0, syscall.ENOTSOCK
	case f.kind == streamSocket:
		return s.receive(f, b)
	case f.kind == packetSocket:
		f.blame("recv on fd %d, which has messages", fd)
	case f.err != 0:
		return 0, f.takeError()
	case len(f.packets) == 0:
		return s.empty(f, "recv")
	}
	s.lent(f, b, "recv")
	poison(b)
	return copy(b, f.takePacket().data), 0
}

// receive receives from a stream or a pipe. It spoils all of b first: what an earlier
// receive has left there is nobody's.
func (s *Epoll) receive(f *file, b []byte) (int, Errno) {
	s.lent(f, b, "recv")
	poison(b)
	if errno := f.connectedErrno(); errno != 0 {
		return 0, errno
	}
	if s.net.chance(s.faults.NoMemory) {
		return 0, syscall.ENOMEM
	}
	if avail, _, ok := f.peek(); ok && avail > 0 {
		f.maybeReset(false)
	}
	if avail, _, ok := f.peek(); ok && avail > 0 && s.net.chance(s.faults.Again) {
		return 0, syscall.EAGAIN
	}
	avail, errno, ok := f.received()
	switch {
	case !ok:
		return s.empty(f, "recv")
	case errno != 0:
		f.record("received", -int64(errno))
		return 0, errno
	}
	n := s.part(min(avail, len(b)), s.faults.PartialRead)
	copy(b, f.rxTake(n))
	f.record("received", int64(n), b[:n])
	return n, 0
}

// send is every send on a socket or a pipe; a datagram goes to an address.
func (s *Epoll) send(f *file, bufs [][]byte, to transport.Addr) (int, Errno) {
	total := 0
	for _, b := range bufs {
		s.lent(f, b, "send")
		total += len(b)
	}
	switch {
	case s.net.chance(s.faults.NoMemory):
		return 0, [2]Errno{syscall.ENOMEM, syscall.ENOBUFS}[s.net.below(2)]
	case f.kind != streamSocket && f.kind != pipeEnd:
		return s.sendPacket(f, bufs, to)
	case f.stage == connecting:
		return s.full(f)
	}
	if errno := f.connectedErrno(); errno != 0 {
		return 0, errno
	}
	f.maybeReset(true)
	room, errno := f.writable()
	if errno != 0 {
		f.record("sent", -int64(errno))
		return 0, errno
	}
	n := min(room, total)
	if n > 0 && s.net.chance(s.faults.Again) {
		n = 0 // there was no memory for it
	}
	if n == 0 && total > 0 {
		return s.full(f)
	}
	n = s.part(n, s.faults.PartialWrite)
	sending := task{bufs: bufs}
	f.record("sent", int64(n), sending.sending(n)...)
	f.putFrom(bufs, 0, n)
	f.refusals, f.noSpace = 0, n < total
	return n, 0
}

func (s *Epoll) sendPacket(f *file, bufs [][]byte, to transport.Addr) (int, Errno) {
	if to.IsZero() {
		to = f.remote
	}
	n, errno := f.sendWhole(bufs, to)
	if errno == syscall.EAGAIN {
		return s.full(f)
	}
	f.refusals = 0
	return n, errno
}
