package loop

import (
	"context"
	"net/netip"
	"os"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/opener"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// DatagramOptions say what CreateDatagramEndpoint makes. At least one of
// LocalAddr, RemoteAddr, LocalPath, RemotePath, Network and Sock is needed.
type DatagramOptions struct {
	// LocalAddr is the "host:port" to receive at; port 0 for any. An empty host
	// means all interfaces, of IPv4 where Network does not say otherwise.
	LocalAddr string

	// RemoteAddr is the "host:port" of the peer: what others send is not received,
	// what is sent goes there, and the kernel's "connection refused" is passed to
	// ErrorReceived. With Broadcast it is only where datagrams without an address
	// go. Where names have several addresses, the first pair of one family that
	// can be had is taken.
	RemoteAddr string

	// LocalPath and RemotePath are as LocalAddr and RemoteAddr for Unix datagram
	// sockets; a leading '@' means an abstract name. A socket file at LocalPath
	// that nobody is bound to any more is removed first. As in asyncio, the file is
	// left behind when the endpoint is closed. Without a LocalPath nobody can
	// answer.
	LocalPath, RemotePath string

	// Network is "udp4" or "udp6" for addresses of that family alone, or "" or
	// "udp". Alone it is an endpoint that has a port once it has sent something.
	Network string

	// Sock is a datagram socket, bound and connected as its maker likes, to use
	// instead of all other fields but WriteCap, GSO, GRO and RecvErr. It is
	// duplicated and closed. GRO and RecvErr are on where its maker turned them on.
	Sock *os.File

	// ReusePort sets SO_REUSEPORT: several endpoints share a port, and the kernel
	// spreads the senders over them.
	ReusePort bool

	// Broadcast sets SO_BROADCAST: without it sending to a broadcast address is
	// EACCES.
	Broadcast bool

	// JoinGroups are multicast groups to receive from, at LocalAddr's port.
	// Interface is the name of the interface to do that on, and to send to groups
	// from; "" leaves the choice to the routing table.
	JoinGroups []netip.Addr
	Interface  string

	// MulticastTTL is how many routers pass what is sent to a group; 0 means the
	// kernel's default, 1. NoMulticastLoop keeps it from members on this machine.
	MulticastTTL    int
	NoMulticastLoop bool

	// SendBuffer and ReceiveBuffer are the sizes of the socket's buffers in bytes,
	// which the kernel doubles and bounds (socket(7)); 0 means its defaults. A full
	// receive buffer drops datagrams.
	SendBuffer, ReceiveBuffer int

	// WriteCap bounds what is buffered, as WriteBufferSize counts it, beyond which
	// SendTo returns transport.ErrBufferFull. 0: no bound.
	WriteCap int

	// GSO hands the kernel what is sent in one round, one after the other, to one
	// address and of one size, as one piece, at most 64 datagrams or 64 KiB: it, or
	// the network card, cuts that as late as it can (UDP_SEGMENT, Linux 4.18,
	// udp(7)). The last datagram of a piece may be shorter. The peer sees no
	// difference, and an error still costs the datagram alone that met it.
	//
	// GRO lets the kernel hand over in one piece what came from one sender in one
	// size (UDP_GRO, Linux 5.0). DatagramReceived is called for each datagram of
	// it, and the rest waits where one of the calls pauses reading.
	//
	// Where the kernel, the device on the route, or for GRO receive buffers of less
	// than 64 KiB do not allow it, the endpoint does without, and Trace.Fallback is
	// told "UDP_SEGMENT" or "UDP_GRO". Unix sockets do without, untold.
	GSO, GRO bool

	// RecvErr reports all that the network answers to datagrams, with the address of
	// the datagram and that of who answered (IP_RECVERR, ip(7)): each answer comes
	// to ErrorReceived as a *net.OpError around a *transport.ICMPError. So an
	// endpoint without a RemoteAddr learns of refused connections too. It is on where
	// the maker of Sock turned that on. Unix sockets take no notice of it.
	RecvErr bool
}

// CreateDatagramEndpoint makes a UDP or Unix datagram socket and a transport of
// it for p. It returns after ConnectionMade has; datagrams may have been received
// by then.
//
// Errors of single datagrams do not end an endpoint, they are passed to
// ErrorReceived. That of an address where nobody receives reaches an endpoint
// with a RemoteAddr or RecvErr alone; others never learn of it.
//
// CreateDatagramEndpoint may be called from any goroutine except the loop's.
//
// Errors: *net.OpError with EADDRINUSE, EADDRNOTAVAIL, ENETUNREACH, for paths
// ECONNREFUSED and ENOENT …; *net.DNSError; ErrNoAddress; ErrNotDatagram;
// net.UnknownNetworkError; ctx's; transport.ErrNilProtocol; ErrBadOption for a number
// that is negative or that no socket takes; ErrOnLoop.
func (l *Loop) CreateDatagramEndpoint(ctx context.Context, p protocol.DatagramProtocol,
	opts *DatagramOptions) (transport.DatagramTransport, error) {
	return block(ctx, l, func(done func(transport.DatagramTransport, error)) {
		l.CreateDatagramEndpointFunc(ctx, p, opts, done)
	})
}

// CreateDatagramEndpointFunc is CreateDatagramEndpoint for the loop's goroutine:
// done is called on it, once, possibly before CreateDatagramEndpointFunc returns.
func (l *Loop) CreateDatagramEndpointFunc(ctx context.Context, p protocol.DatagramProtocol,
	opts *DatagramOptions, done func(transport.DatagramTransport, error)) {
	l.check()
	var o DatagramOptions
	if opts != nil {
		o = *opts
	}
	err := o.check()
	if p == nil {
		err = transport.ErrNilProtocol
	}
	if err != nil {
		done(nil, err)
		return
	}
	made := l.originHere()
	opened := func(c fdio.DatagramConfig, err error) {
		if err != nil {
			done(nil, err)
			return
		}
		c.Protocol = p
		done(l.newDatagram(c, made))
	}
	opener.Datagram(ctx, (*host)(l), opener.DatagramOptions(o), opened)
}

// newDatagram makes the endpoint of a socket and starts it.
func (l *Loop) newDatagram(c fdio.DatagramConfig, made *origin) (
	transport.DatagramTransport, error) {
	c.Owner = (*host)(l)
	d := fdio.NewDatagram((*host)(l), c)
	l.open.AddTransport(d)
	l.noteNewDatagram(d, made)
	d.Start()
	if d.State() >= fdio.Lost && d.Err() != nil {
		return nil, d.Err()
	}
	return d, nil
}
