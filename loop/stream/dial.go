package stream

import (
	"context"
	"net"

	"github.com/sluice-net/sluice/loop"
)

// Dial connects to addr on l: "host:port" for network "tcp", "tcp4" or "tcp6", the
// last two with addresses of that family alone, or the path of a Unix stream socket
// for "unix", where a leading '@' makes it an abstract name. A name's addresses are
// raced as RFC 8305 says. The connection is a *[Conn]; ctx is for its making alone.
//
// An idle loop is run until Dial returns. It must be running for the connection to be
// of any use. Errors are *[net.OpError] values: around an errno, a *[net.DNSError],
// ctx's error, [net.UnknownNetworkError], [loop.ErrOnLoop], [loop.ErrLoopClosed].
func Dial(ctx context.Context, l *loop.Loop, network, addr string) (net.Conn, error) {
	h, err := hubOf(l)
	if err != nil {
		return nil, opening("dial", network, err)
	}
	c := newConn(h, network)
	opts := &loop.ConnectionOptions{Network: network}
	switch network {
	case "tcp", "tcp4", "tcp6":
		_, err = l.CreateConnection(ctx, (*wire)(c), addr, opts)
	case "unix":
		_, err = l.CreateUnixConnection(ctx, (*wire)(c), addr, opts)
	default:
		err = net.UnknownNetworkError(network)
	}
	if err != nil {
		return nil, opening("dial", network, err)
	}
	return c, nil
}
