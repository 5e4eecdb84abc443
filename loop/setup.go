package loop

import (
	"context"
	"net"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// newDial makes a dial. If there is no protocol or the options are wrong, it calls done
// and returns nil.
func (l *Loop) newDial(ctx context.Context, p protocol.Protocol, opts *ConnectionOptions,
	done func(transport.Transport, error)) *dial {
	d := &dial{loop: l, ctx: ctx, protocol: p, done: done, winner: -1, made: l.originHere()}
	if opts != nil {
		d.opts = *opts
	}
	d.opts.TLS = d.opts.TLS.copy()
	d.kind = kindOf(d.opts.Network)
	err := d.opts.check()
	if err == nil {
		err = checkKind(d.kind, d.opts.TLS)
	}
	if p == nil {
		err = transport.ErrNilProtocol
	}
	if err != nil {
		done(nil, err)
		return nil
	}
	return d
}

// connected makes the transport and calls ConnectionMade.
func (d *dial) connected(fd int, family proactor.Family) {
	l := d.loop
	if l.draining {
		l.drop(fd)
		d.done(nil, ErrLoopClosed)
		return
	}
	if family == proactor.IPv4 || family == proactor.IPv6 {
		if err := d.setOptions(fd); err != nil {
			l.drop(fd)
			d.done(nil, &net.OpError{Op: "dial", Net: "tcp", Err: err})
			return
		}
	}
	if d.opts.TLS != nil {
		d.secure(fd, family)
		return
	}
	s := l.newConnection(fdio.Config{FD: fd, Protocol: d.protocol, WriteCap: d.opts.WriteCap,
		IdleTimeout: d.opts.IdleTimeout, CloseTimeout: d.opts.CloseTimeout}, family, d.kind)
	l.noteNew(s, d.made)
	s.Start()
	if s.State() >= fdio.Lost && s.Err() != nil {
		d.done(nil, s.Err())
		return
	}
	d.done(s, nil)
}
