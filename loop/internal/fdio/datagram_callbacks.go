package fdio

import (
	"net"

	"github.com/sluice-net/sluice/loop/internal/guard"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// The callbacks of a DatagramProtocol. A panic in one is reported and has no other
// effect, except in ConnectionMade: a protocol that was not set up must not be called
// again.
var (
	datagramReceived = guard.Harmless("DatagramReceived",
		"Exception in callback protocol.datagram_received()")
	errorReceived = guard.Harmless("ErrorReceived",
		"Exception in callback protocol.error_received()")
)

func (d *Datagram) connectionMade() {
	defer d.guard.Leave(d.guard.Enter(guard.ConnectionMade))
	d.proto.ConnectionMade(d)
}

func (d *Datagram) datagramReceived(data []byte, from transport.Addr) {
	defer d.guard.Leave(d.guard.Enter(datagramReceived))
	d.proto.DatagramReceived(data, from)
}

func (d *Datagram) errorReceived(err error) {
	defer d.guard.Leave(d.guard.Enter(errorReceived))
	d.proto.ErrorReceived(err)
}

// addressOf returns the destination of a datagram, for an error about it.
func (d *Datagram) addressOf(p proactor.Packet) net.Addr {
	if p.Addr.IsZero() {
		return d.peer
	}
	family := proactor.IPv6
	if p.Addr.Path != "" {
		family = proactor.Unix
	}
	return NetAddr(p.Addr, family, proactor.Datagram)
}
