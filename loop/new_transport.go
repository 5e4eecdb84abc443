package loop

import (
	"net"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// newStream makes a stream for a connected descriptor. It reads the addresses now,
// because they may be asked for long after the connection is gone.
func (l *Loop) newStream(c fdio.Config, family proactor.Family) *fdio.Stream {
	return l.newConnection(c, family, proactor.Stream).(*fdio.Stream)
}

// newConnection makes the transport for a connected socket of any kind.
func (l *Loop) newConnection(c fdio.Config, family proactor.Family,
	kind proactor.Kind) fdio.Connection {
	c.Local, c.Peer = l.namesOf(c.FD, family, kind)
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

// namesOf returns the addresses of a connected socket and its peer, as far as they are
// known.
func (l *Loop) namesOf(fd int, family proactor.Family, kind proactor.Kind) (local, peer net.Addr) {
	if a, err := l.engine.LocalAddr(fd); err == nil {
		local = fdio.NetAddr(a, family, kind)
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
