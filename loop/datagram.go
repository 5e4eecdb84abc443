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

// DatagramOptions configure CreateDatagramEndpoint. At least one of LocalAddr,
// RemoteAddr, LocalPath, RemotePath, Network and Sock must be set.
type DatagramOptions struct {
	// LocalAddr is the "host:port" to receive on; port 0 means any port. An empty host
	// means all interfaces, of IPv4 unless Network says otherwise.
	LocalAddr string

	// RemoteAddr is the "host:port" of the peer: the endpoint sends to it, receives from
	// nobody else, and passes the kernel's "connection refused" to ErrorReceived. With
	// Broadcast it is only the destination of datagrams sent without an address. If names
	// have several addresses, the first pair of one family that works is taken.
	RemoteAddr string

	// LocalPath and RemotePath are like LocalAddr and RemoteAddr, for Unix datagram
	// sockets; a leading '@' means an abstract name. A socket file at LocalPath is
	// removed first if no socket is bound to it any more. As in asyncio, the file is left
	// behind when the endpoint is closed. Without a LocalPath, peers cannot answer.
	LocalPath, RemotePath string

	// Network is "udp4" or "udp6" to use only addresses of that family, or "udp" or "" to
	// use both. If Network alone is set, the endpoint gets a port when it first sends
	// something.
	Network string

	// Sock is a datagram socket, bound or connected in any way, to use instead of all
	// other fields except WriteCap, GSO, GRO and RecvErr. The loop duplicates Sock and
	// closes it. GRO and RecvErr are also on if they were already turned on for Sock.
	Sock *os.File

	// ReusePort sets SO_REUSEPORT: several endpoints can share a port, and the kernel
	// distributes the senders among them.
	ReusePort bool

	// Broadcast sets SO_BROADCAST: without it, sending to a broadcast address fails with
	// EACCES.
	Broadcast bool

	// JoinGroups are the multicast groups to receive from, on LocalAddr's port. Interface
	// is the name of the interface on which to join them and from which to send to
	// groups; "" leaves the choice to the routing table.
	JoinGroups []netip.Addr
	Interface  string

	// MulticastTTL is the time to live, in hops, of datagrams sent to a group; 0 means
	// the kernel's default, 1. NoMulticastLoop keeps members on this machine from
	// receiving them.
	MulticastTTL    int
	NoMulticastLoop bool

	// SendBuffer and ReceiveBuffer are the sizes of the socket's buffers in bytes, which
	// the kernel doubles and limits (socket(7)); 0 means its defaults. When the receive
	// buffer is full, datagrams are dropped.
	SendBuffer, ReceiveBuffer int

	// WriteCap limits the bytes buffered, as WriteBufferSize counts them; beyond it
	// SendTo returns transport.ErrBufferFull. 0 means no limit.
	WriteCap int

	// GSO passes consecutive datagrams that are sent in one round, to one address and of
	// one size, to the kernel as one batch of at most 64 datagrams or 64 KiB. The kernel
	// or the network card splits the batch as late as it can (UDP_SEGMENT, Linux 4.18,
	// udp(7)). The last datagram of a batch may be shorter. The peer sees no difference,
	// and an error still costs only the datagram that it is about.
	//
	// GRO lets the kernel deliver datagrams of one size from one sender as one batch
	// (UDP_GRO, Linux 5.0). DatagramReceived is called for each datagram of the batch; if
	// one of the calls pauses reading, the rest waits.
	//
	// If the kernel or the device on the route does not allow it, or for GRO if the
	// receive buffers are smaller than 64 KiB, the endpoint works without it and calls
	// Trace.Fallback with "UDP_SEGMENT" or "UDP_GRO". Unix sockets ignore both silently.
	GSO, GRO bool

	// RecvErr reports every error that the network returns for a datagram, with the
	// address of the datagram and the address that the error came from (IP_RECVERR,
	// ip(7)). Each is passed to ErrorReceived as a *net.OpError that wraps a
	// *transport.ICMPError. So an endpoint without a RemoteAddr learns of refused
	// connections, too. RecvErr is also on if it was already turned on for Sock. Unix
	// sockets ignore it.
	RecvErr bool
}

// CreateDatagramEndpoint makes a UDP or Unix datagram socket and a transport on it for p.
// It returns after ConnectionMade has returned; p may have received datagrams by then.
//
// An error about a single datagram does not end the endpoint; it is passed to
// ErrorReceived. Only an endpoint with a RemoteAddr or RecvErr learns that nobody
// receives at an address.
//
// CreateDatagramEndpoint may be called from any goroutine except the loop's.
//
// Errors: *net.OpError with EADDRINUSE, EADDRNOTAVAIL, ENETUNREACH, for paths
// ECONNREFUSED and ENOENT …; *net.DNSError; ErrNoAddress; ErrNotDatagram;
// net.UnknownNetworkError; ctx's error; transport.ErrNilProtocol; ErrBadOption for a
// number that is negative or too large for a socket; ErrOnLoop.
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

// newDatagram makes an endpoint for a socket and starts it.
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
