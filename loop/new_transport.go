package loop

import (
	"net"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// newStream makes a stream for a connected descriptor. It reads the addresses now,
// because they may be asked for long after the connection is gone.
// at is as for namesOf.
func (l *Loop) newStream(c fdio.Config, family proactor.Family, at *localName) *fdio.Stream {
	return l.newConnection(c, family, proactor.Stream, at).(*fdio.Stream)
}

// newConnection makes the transport for a connected socket of any kind.
func (l *Loop) newConnection(c fdio.Config, family proactor.Family, kind proactor.Kind,
	at *localName) fdio.Connection {
	c.Local, c.Peer = l.namesOf(c.FD, family, kind, at)
	if c.Owner == nil {
		c.Owner = (*host)(l)
	}
	t := fdio.NewConnection((*host)(l), c, kind)
	if s, ok := t.(*fdio.Stream); ok {
		l.addStream(s)
	} else {
		l.open.AddTransport(t)
	}
	return t
}

// localName is the address at which a server's last client arrived. Most clients arrive at
// the same, so their transports share it. The kernel is asked for each of them, because
// with IP_TRANSPARENT or an eBPF program it is not always that of the listener.
type localName struct {
	addr transport.Addr
	name net.Addr
}

// of returns a as a net.Addr.
func (n *localName) of(a transport.Addr, family proactor.Family, kind proactor.Kind) net.Addr {
	if n.name == nil || n.addr != a {
		n.addr, n.name = a, fdio.NetAddr(a, family, kind)
	}
	return n.name
}

// namesOf returns the addresses of a connected socket and its peer, as far as they are
// known. at is the name that the local address may share, or nil.
func (l *Loop) namesOf(fd int, family proactor.Family, kind proactor.Kind, at *localName) (
	local, peer net.Addr) {
	if at == nil {
		at = &localName{}
	}
	if a, err := l.engine.LocalAddr(fd); err == nil {
		local = at.of(a, family, kind)
	}
	if a, err := l.engine.RemoteAddr(fd); err == nil {
		peer = fdio.NetAddr(a, family, kind)
	}
	return local, peer
}

// drop closes a descriptor that never became a transport.
func (l *Loop) drop(fd int) {
	if err := l.engine.CloseFD(fd); err != nil {
		l.report(Exception{Message: "Error closing a socket", Err: err})
	}
}
