package fdio

import (
	"net"
	"syscall"

	"github.com/sluice-net/sluice/transport"
)

// ExtraInfo implements transport.BaseTransport.
func (e *endpoint) ExtraInfo(name string) any {
	switch name {
	case "peername":
		if e.peer != nil {
			return e.peer
		}
	case "sockname":
		if e.local != nil {
			return e.local
		}
	case "peercred":
		return e.peerCred()
	case e.self.what():
		if e.guard.Protocol() != nil { // until ConnectionLost has returned
			return rawConn{e}
		}
	default:
		if e.extras != nil {
			return e.extras.info[name]
		}
	}
	return nil
}

// peerCred asks the kernel only on request, because the answer never changes. A socket
// that is not connected has a peer without a user.
func (e *endpoint) peerCred() any {
	if !e.isUnix() || e.guard.Protocol() == nil {
		return nil
	}
	c, err := e.engine.PeerCred(e.recv.FD)
	if err != nil {
		return nil
	}
	return c
}

// isUnix reports whether the transport is over a Unix socket.
func (e *endpoint) isUnix() bool {
	_, unix := e.local.(*net.UnixAddr)
	return unix
}

// rawConn gives the user access to the descriptor of a transport that is not closed.
type rawConn struct {
	e *endpoint
}

// Control calls f with the descriptor.
func (c rawConn) Control(f func(fd uintptr)) error {
	if c.e.Protocol() == nil {
		return transport.ErrClosed
	}
	f(uintptr(c.e.FD()))
	return nil
}

// Read calls f once only, because the transport does the waiting, not its user. EAGAIN
// means that f was not done.
func (c rawConn) Read(f func(fd uintptr) (done bool)) error {
	done := false
	err := c.Control(func(fd uintptr) { done = f(fd) })
	if err == nil && !done {
		err = syscall.EAGAIN
	}
	return err
}

// Write is like Read.
func (c rawConn) Write(f func(fd uintptr) (done bool)) error { return c.Read(f) }
