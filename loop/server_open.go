package loop

import (
	"math"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/opener"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// newServer makes a server without sockets. If there is no factory or the options are
// wrong, it calls done and returns nil.
func (l *Loop) newServer(factory protocol.Factory, opts *UnixServerOptions,
	done func(*Server, error)) *Server {
	s := &Server{loop: l, factory: factory, made: l.originHere()}
	if opts != nil {
		s.opts = *opts
	}
	s.opts.TLS = s.opts.TLS.copy()
	if s.opts.Backlog == 0 {
		s.opts.Backlog = 4096
	}
	s.opts.Backlog = min(s.opts.Backlog, math.MaxInt32) // it is a C int
	s.kind = opener.KindOf(s.opts.Network)
	err := s.opts.check()
	if err == nil {
		err = checkKind(s.kind, s.opts.TLS)
	}
	if factory == nil {
		err = transport.ErrNilProtocol
	}
	if err != nil {
		done(nil, err)
		return nil
	}
	return s
}

// listen returns the options that concern the sockets.
func (o *UnixServerOptions) listen() opener.ListenOptions {
	return opener.ListenOptions{Network: o.Network, Addrs: o.Addrs, Sock: o.Sock,
		Backlog: o.Backlog, ReusePort: o.ReusePort, NoReuseAddress: o.NoReuseAddress,
		KeepAlive: o.KeepAlive, DeferServing: o.DeferServing, Mode: o.Mode,
		ProbeSocket: o.ProbeSocket, NoCleanupSocket: o.NoCleanupSocket}
}

// opened returns what makes the server serve on its sockets, and calls done.
func (s *Server) opened(done func(*Server, error)) opener.Listened {
	return func(sockets opener.Listeners, err error) {
		if err != nil {
			done(nil, err)
			return
		}
		s.sockets = sockets
		for _, socket := range sockets.All {
			a := fdio.NewAcceptor((*host)(s.loop), socket.FD,
				func(fd int) { s.accepted(fd, socket.Family) })
			if s.opts.Sock != nil {
				a.Share()
			}
			s.addrs = append(s.addrs, socket.Addr)
			s.acceptors = append(s.acceptors, a)
		}
		if !s.opts.DeferServing {
			s.accept()
		}
		s.loop.open.Add(openServer{s})
		done(s, nil)
	}
}
