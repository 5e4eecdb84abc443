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
