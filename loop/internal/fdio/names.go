package fdio

import (
	"errors"
	"net"
	"os"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// NetAddr returns a as the net.Addr of its kind, nil for the zero Addr of an
// unnamed socket that is not a Unix one.
func NetAddr(a transport.Addr, family proactor.Family, kind proactor.Kind) net.Addr {
	switch {
	case family == proactor.Unix && kind == proactor.Datagram:
		return &net.UnixAddr{Name: a.Path, Net: "unixgram"}
	case family == proactor.Unix && kind == proactor.SeqPacket:
		return &net.UnixAddr{Name: a.Path, Net: "unixpacket"}
	case family == proactor.Unix:
		return &net.UnixAddr{Name: a.Path, Net: "unix"}
	case !a.AddrPort.IsValid():
		return nil
	case kind == proactor.Datagram:
		return net.UDPAddrFromAddrPort(a.AddrPort)
	}
	return net.TCPAddrFromAddrPort(a.AddrPort)
}

// opError returns the *net.OpError of an operation.
func (e *endpoint) opError(op, call string, errno syscall.Errno) error {
	return opError(op, call, errno, e.local, e.peer)
}

// opError returns the *net.OpError of an operation on a connection.
func opError(op, call string, errno syscall.Errno, local, peer net.Addr) error {
	e := &net.OpError{Op: op, Source: local, Addr: peer, Err: os.NewSyscallError(call, errno)}
	if local != nil {
		e.Net = local.Network()
	} else if peer != nil {
		e.Net = peer.Network()
	}
	return e
}

// errnoOf returns the errno of an engine's error, 0 if err is nil.
func errnoOf(err error) syscall.Errno {
	if err == nil {
		return 0
	}
	errno := syscall.EIO
	errors.As(err, &errno)
	return errno
}
