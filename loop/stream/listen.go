package stream

import (
	"context"
	"net"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/protocol"
)

// Listen listens on addr on l. addr is "host:port" for network "tcp", "tcp4" or "tcp6",
// or the path of a Unix socket for "unix" and "unixpacket", where a leading '@' makes it
// an abstract name. An empty host means all interfaces, a name means all its addresses, and
// port 0 means one free port for all of them. The listener is a *[Listener].
//
// A socket file without a server is replaced; if the file belongs to a live server, the
// error is EADDRINUSE. Close removes the file.
//
// If the loop is idle, Listen runs it until it returns. The loop must be running to
// accept connections. Errors are *[net.OpError] values that wrap an errno such as
// EADDRINUSE, a *[net.DNSError], [net.UnknownNetworkError], [loop.ErrOnLoop] or
// [loop.ErrLoopClosed].
func Listen(l *loop.Loop, network, addr string) (net.Listener, error) {
	h, err := hubOf(l)
	if err != nil {
		return nil, opening("listen", network, err)
	}
	ln := newListener(h, network)
	opts := &loop.UnixServerOptions{ProbeSocket: true,
		ServerOptions: loop.ServerOptions{Network: network, DeferServing: true}}
	switch network {
	case "tcp", "tcp4", "tcp6":
		ln.server, err = l.CreateServer(context.Background(), ln.protocol, addr,
			&opts.ServerOptions)
	case "unix", "unixpacket":
		ln.server, err = l.CreateUnixServer(context.Background(), ln.protocol, addr, opts)
	default:
		err = net.UnknownNetworkError(network)
	}
	if err == nil {
		err = ln.start()
	}
	if err != nil {
		return nil, opening("listen", network, err)
	}
	return ln, nil
}

// start begins to accept, now that the server is known.
func (ln *Listener) start() error {
	if err := ln.server.StartServing(); err != nil {
		ln.server.Close()
		return err
	}
	ln.hub.join(ln)
	return nil
}

// protocol is the server's factory.
func (ln *Listener) protocol() protocol.Protocol {
	_, p := newOf(ln.hub, ln.network, ln.push)
	return p
}
