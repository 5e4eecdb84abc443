package stream

import (
	"context"
	"net"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/protocol"
)

// Listen listens on addr on l: "host:port" for network "tcp", "tcp4" or "tcp6", or the
// path of a Unix stream socket for "unix", where a leading '@' makes it an abstract
// name. An empty host means all interfaces, a name all its addresses, and port 0 one
// free port for all of them. The listener is a *[Listener].
//
// A socket file that nobody serves any more is replaced, that of a live server is
// EADDRINUSE; Close removes the file.
//
// An idle loop is run until Listen returns. It must be running for connections to
// come. Errors are *[net.OpError] values: around an errno such as EADDRINUSE, a
// *[net.DNSError], [net.UnknownNetworkError], [loop.ErrOnLoop], [loop.ErrLoopClosed].
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
	case "unix":
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
	c := newConn(ln.hub, ln.network)
	c.server, c.onOpen = true, ln.push
	return (*wire)(c)
}
