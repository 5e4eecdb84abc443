package loop

import (
	"context"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/opener"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// A setup is one call that makes a connection for a protocol. The descriptor comes from
// elsewhere.
//
//	opening --descriptor--> with TLS: handshake --> done
//	                        without: started -----> done
//	opening --error---------------------------------> done
type setup struct {
	loop     *Loop
	ctx      context.Context
	protocol protocol.Protocol
	opts     ConnectionOptions
	kind     proactor.Kind // of the socket
	done     func(transport.Transport, error)
	made     *origin // where, in debug mode
	server   bool    // the server side of a socket accepted elsewhere
}

// newSetup makes a setup for a connection to addr. If there is no protocol or the options
// are wrong, it calls done and returns nil.
func (l *Loop) newSetup(ctx context.Context, p protocol.Protocol, addr string,
	opts *ConnectionOptions, done func(transport.Transport, error)) *setup {
	s := &setup{loop: l, ctx: ctx, protocol: p, done: done, made: l.originHere()}
	if opts != nil {
		s.opts = *opts
	}
	s.opts.TLS = s.opts.TLS.copy()
	s.kind = opener.KindOf(s.opts.Network)
	err := s.opts.check()
	if err == nil {
		err = checkKind(s.kind, s.opts.TLS)
	}
	if p == nil {
		err = transport.ErrNilProtocol
	}
	if err == nil {
		err = s.nameServer(addr)
	}
	if err != nil {
		done(nil, err)
		return nil
	}
	return s
}

// connect returns the options that concern the descriptor.
func (o *ConnectionOptions) connect() opener.ConnectOptions {
	return opener.ConnectOptions{Network: o.Network, LocalAddr: o.LocalAddr, Sock: o.Sock,
		HappyEyeballsDelay: o.HappyEyeballsDelay, Interleave: o.Interleave,
		AllErrors: o.AllErrors, KeepAlive: o.KeepAlive}
}

// opened makes the transport of a connected descriptor and calls ConnectionMade.
func (s *setup) opened(fd int, family proactor.Family, err error) {
	if err != nil {
		s.done(nil, err)
		return
	}
	if s.opts.TLS != nil {
		s.secure(fd, family)
		return
	}
	l := s.loop
	c := l.newConnection(fdio.Config{FD: fd, Protocol: s.protocol, WriteCap: s.opts.WriteCap,
		IdleTimeout: s.opts.IdleTimeout, CloseTimeout: s.opts.CloseTimeout}, family, s.kind,
		nil)
	l.noteNew(c, s.made)
	c.Start()
	if c.State() >= fdio.Lost && c.Err() != nil {
		s.done(nil, c.Err())
		return
	}
	s.done(c, nil)
}
