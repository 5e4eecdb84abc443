package fdio

import (
	"net"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// Datagram is a transport over a datagram socket. Its states are those of a Stream, with
// the difference that neither an error of the kernel nor a panic in a callback ends it,
// except for one in ConnectionMade:
//
//	made --Start--> open --Close--> closing --drained--> lost --idle--> closed
//	                open --Abort-----------------------> lost
//	                                closing --Abort----> lost
//
// It owns its descriptor: no operation is in flight on it when it is closed.
type Datagram struct {
	endpoint
	proto       protocol.DatagramProtocol
	recvBackoff Timer // until it receives again, after a lack of memory

	messages    messages
	out         packets
	writable    proactor.Op // waits for room at a Unix peer, or for that of a group
	told        bool        // there was an event of that, and nothing was sent since
	sendBackoff Timer       // until it sends again, where the kernel has no event for it
	backoffMS   int         // how long that was last
	pumping     bool        // is handing output to the kernel

	doubt    int           // the size of datagrams that were refused as a group; or 0
	doubtErr syscall.Errno // and how
	recvErr  bool          // the network's answers are in the socket's error queue

	unix      bool
	connected bool           // the kernel knows the peer
	remote    transport.Addr // the peer, or the destination of what has none
}

// DatagramConfig configures an endpoint.
type DatagramConfig struct {
	FD          int // bound, or connected, or neither
	Unix        bool
	Protocol    protocol.DatagramProtocol
	Connected   bool           // the kernel receives from the peer alone
	Remote      transport.Addr // the peer, or where datagrams without address go
	Local, Peer net.Addr
	Group       bool // the kernel takes datagrams in groups: option Segmentation
	Coalesced   bool // and gives them in groups: option Coalesce
	RecvErr     bool // it keeps errors in a queue: option RecvErr
	WriteCap    int  // the most that is buffered; 0: no limit
	Owner       Owner
}

// NewDatagram makes an endpoint on a descriptor, which it owns from now on.
func NewDatagram(host Host, c DatagramConfig) *Datagram {
	d := &Datagram{proto: c.Protocol, unix: c.Unix, connected: c.Connected, remote: c.Remote,
		recvErr: c.RecvErr}
	d.init(host, d, &Config{FD: c.FD, Owner: c.Owner, Local: c.Local, Peer: c.Peer,
		WriteCap: c.WriteCap})
	d.guard.Set(c.Protocol)
	d.out.overhead = datagramOverhead
	if c.Group {
		d.out.segmentMax = proactor.SegmentedMax
	}
	d.messages.of(&d.endpoint)
	d.messages.in.Coalesced = c.Coalesced
	d.writable.Code, d.writable.FD, d.writable.Handler = proactor.Poll, c.FD, d
	d.writable.Mask = pollOut
	return d
}

// Start implements Transport.
func (d *Datagram) Start() {
	d.move(Open)
	d.connectionMade()
	d.arm()
}

// Complete implements proactor.Handler.
func (d *Datagram) Complete(op *proactor.Op) {
	switch op {
	case &d.recv:
		if op.Message.Uncut && op.Res >= 0 && d.state == Open {
			d.uncut()
		}
		d.receivedMessage()
	case &d.send:
		d.sent()
	default:
		d.onWritable()
	}
	d.completed()
}

func (d *Datagram) kind() string { return "Datagram" }

func (d *Datagram) round() {
	d.deliverHeld()
	d.Flush()
}

func (d *Datagram) drained() bool { return d.out.count() == 0 }

func (d *Datagram) drop() {
	for _, t := range []Timer{d.recvBackoff, d.sendBackoff} {
		if t != nil {
			t.Cancel()
		}
	}
	d.out.drop()
	d.held = nil
}

func (d *Datagram) cancel() { d.engine.Cancel(&d.writable) }

func (d *Datagram) busy() bool { return d.writable.InFlight() }

func (d *Datagram) forget() { d.proto = nil }

// SetProtocol implements transport.BaseTransport.
func (d *Datagram) SetProtocol(p transport.BaseProtocol) error {
	d.host.Check()
	if p == nil {
		return transport.ErrNilProtocol
	}
	proto, ok := p.(protocol.DatagramProtocol)
	if !ok {
		return transport.ErrProtocolKind
	}
	if d.state == Closed {
		return transport.ErrClosed
	}
	d.proto = proto
	d.guard.Set(proto)
	return nil
}

// ExtraInfo implements transport.BaseTransport. A datagram socket does not know the user
// of its peer.
func (d *Datagram) ExtraInfo(name string) any {
	if name == "peercred" {
		return nil
	}
	return d.endpoint.ExtraInfo(name)
}
