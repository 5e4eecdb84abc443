package stream

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/protocol"
)

// Dial connects to addr on l. addr is "host:port" for network "tcp", "tcp4" or "tcp6",
// the last two of which use only addresses of that family, or the path of a Unix socket
// for "unix" and "unixpacket", where a leading '@' makes it an abstract name. The
// addresses of a name are raced as RFC 8305 describes. The connection is a *[Conn], or a
// *[MessageConn] for "unixpacket"; ctx has no effect once Dial has returned.
//
// If the loop is idle, Dial runs it until it returns. The loop must be running for the
// connection to be of any use. Errors are *[net.OpError] values that wrap an errno, a
// *[net.DNSError], ctx's error, [net.UnknownNetworkError], [loop.ErrOnLoop] or
// [loop.ErrLoopClosed]. They name addr if the loop names no address.
func Dial(ctx context.Context, l *loop.Loop, network, addr string) (net.Conn, error) {
	h, err := hubOf(l)
	if err != nil {
		return nil, opening("dial", network, err)
	}
	conn, p := newOf(h, network, nil)
	opts := &loop.ConnectionOptions{Network: network}
	switch network {
	case "tcp", "tcp4", "tcp6":
		_, err = l.CreateConnection(ctx, p, addr, opts)
	case "unix", "unixpacket":
		_, err = l.CreateUnixConnection(ctx, p, addr, opts)
	case "udp", "udp4", "udp6", "unixgram":
		err = fmt.Errorf("%w: Dial makes streams; use ListenPacket",
			net.UnknownNetworkError(network))
	default:
		err = net.UnknownNetworkError(network)
	}
	if err != nil {
		return nil, named(opening("dial", network, err), addr)
	}
	return conn, nil
}

// accepted is a connection that a Listener returns, or Dial: a *Conn or a *MessageConn.
type accepted interface {
	net.Conn
	Abort()
}

// newOf returns a new connection of a network, and its protocol. accept, if it is not nil,
// is called when a server has made the connection.
func newOf(h *hub, network string, accept func(accepted)) (accepted, protocol.Protocol) {
	if network == "unixpacket" {
		c := newMessageConn(h, network)
		if accept != nil {
			c.onOpen = func() { accept(c) }
		}
		return c, (*messageWire)(c)
	}
	c := newConn(h, network)
	if accept != nil {
		c.server, c.onOpen = true, func() { accept(c) }
	}
	return c, (*wire)(c)
}

// named adds the address as the caller gave it if the loop has named none, because the
// attempt was given up.
func named(err *net.OpError, addr string) error {
	dns := (*net.DNSError)(nil)
	if err.Addr == nil && !errors.As(err.Err, &dns) { // a DNSError names its own
		err.Addr = asked{err.Net, addr}
	}
	return err
}

// asked is an address that has not been looked up.
type asked struct{ network, addr string }

func (a asked) Network() string { return a.network }
func (a asked) String() string  { return a.addr }
