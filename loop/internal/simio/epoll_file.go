package simio

import (
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/sys"
	"github.com/sluice-net/sluice/transport"
)

// Read is read(2) of what is no socket, without waiting.
func (s *Epoll) Read(fd int, b []byte, _ *bool) (int, Errno) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.settle()
	f, errno := s.begin(fd, "read")
	switch {
	case errno != 0:
		return 0, errno
	case f.kind != pipeEnd:
		return 0, syscall.EINVAL
	}
	return s.receive(f, b)
}

// Write is writev(2) of what is no socket, without waiting.
func (s *Epoll) Write(fd int, iov []sys.Iovec, _ *bool) (int, Errno) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.settle()
	f, errno := s.begin(fd, "write")
	switch {
	case errno != 0:
		return 0, errno
	case f.kind != pipeEnd:
		return 0, syscall.EINVAL
	}
	return s.send(f, vectors(iov), transport.Addr{})
}

// Splice is splice(2), without waiting.
func (s *Epoll) Splice(from int, offset int64, to, n int) (int, Errno) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.settle()
	source, errno := s.begin(from, "splice")
	if errno != 0 {
		return 0, errno
	}
	f := s.need(to, "splice")
	if f == nil {
		return 0, syscall.EBADF
	}
	p := splicing{from: source, to: f, n: n, offset: offset}
	moved, errno := p.move(s.World)
	f.record("spliced", int64(moved)-int64(errno))
	return moved, errno
}

// pollInvalid says that there is no such descriptor.
const pollInvalid = 0x20

// Poll is poll(2), without waiting.
func (s *Epoll) Poll(fds []sys.PollFd) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range fds {
		p := &fds[i]
		p.Revents = pollInvalid
		if f := s.need(int(p.Fd), "poll"); f != nil {
			p.Revents = int16(f.events() & (uint16(p.Events) | always))
		}
	}
}
