package stream

import (
	"net"
	"syscall"

	"github.com/sluice-net/sluice/transport"
)

// rawConn is the descriptor of a transport.
type rawConn struct {
	hub *hub
	of  func() transport.BaseTransport // the loop's goroutine; nil when it is gone
}

// Control implements syscall.RawConn. Error: net.ErrClosed.
func (r rawConn) Control(f func(fd uintptr)) error {
	return r.use(func(c syscall.RawConn) error { return c.Control(f) })
}

// Read implements syscall.RawConn.
func (r rawConn) Read(f func(fd uintptr) (done bool)) error {
	return r.use(func(c syscall.RawConn) error { return c.Read(f) })
}

// Write implements syscall.RawConn.
func (r rawConn) Write(f func(fd uintptr) (done bool)) error {
	return r.use(func(c syscall.RawConn) error { return c.Write(f) })
}

func (r rawConn) use(f func(c syscall.RawConn) error) error {
	err := error(net.ErrClosed)
	failed := r.hub.call(func() {
		t := r.of()
		if t == nil {
			return
		}
		if c, ok := transport.Socket(t); ok {
			err = f(c)
		}
	})
	if failed != nil {
		return failed
	}
	return err
}
