package fdio

import (
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
	case "socket":
		if s.proto != nil { // until ConnectionLost has returned
			return rawConn{s}
		}
	default:
		if s.extras != nil {
			return s.extras.info[name]
		}
	}
	return nil
}

// rawConn lets the user at the descriptor of a stream that is not gone.
type rawConn struct{ s *Stream }

// Control calls f with the descriptor.
func (c rawConn) Control(f func(fd uintptr)) error {
	if c.s.proto == nil {
		return transport.ErrClosed
	}
	f(uintptr(c.s.fd))
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
