package fdio

import (
	"net"
	"syscall"

	"github.com/sluice-net/sluice/transport"
)

// ExtraInfo implements transport.BaseTransport.
func (s *Stream) ExtraInfo(name string) any {
	switch name {
	case "peername":
		if s.peer != nil {
			return s.peer
		}
	case "sockname":
		if s.local != nil {
			return s.local
		}
	case "peercred":
		return s.peerCred()
	case "socket":
		if s.guard.Protocol() != nil && s.pipe == nil { // until ConnectionLost has returned
			return rawConn{s}
		}
	case "pipe":
		if s.guard.Protocol() != nil && s.pipe != nil {
			return rawConn{s}
		}
	default:
		if s.extras != nil {
			return s.extras.info[name]
		}
	}
	return nil
}

// peerCred asks the kernel only when somebody wants to know: it never changes.
func (s *Stream) peerCred() any {
	if _, local := s.local.(*net.UnixAddr); !local || s.guard.Protocol() == nil {
		return nil
	}
	c, err := s.engine.PeerCred(s.fd)
	if err != nil {
		return nil
	}
	return c
}

// rawConn lets the user at the descriptor of a transport that is not closed.
type rawConn struct {
	t interface {
		FD() int
		Protocol() transport.BaseProtocol
	}
}

// Control calls f with the descriptor.
func (c rawConn) Control(f func(fd uintptr)) error {
	if c.t.Protocol() == nil {
		return transport.ErrClosed
	}
	f(uintptr(c.t.FD()))
	return nil
}

// Read calls f once: the transport does the waiting, not its user. EAGAIN says
// that f was not done.
func (c rawConn) Read(f func(fd uintptr) (done bool)) error {
	done := false
	err := c.Control(func(fd uintptr) { done = f(fd) })
	if err == nil && !done {
		err = syscall.EAGAIN
	}
	return err
}

// Write is as Read.
func (c rawConn) Write(f func(fd uintptr) (done bool)) error { return c.Read(f) }
