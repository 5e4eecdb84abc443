package loop

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// ConnectionOptions configure CreateConnection and CreateUnixConnection, which does not
// use those that concern addresses. The zero value is ready to use.
type ConnectionOptions struct {
	// Network is "tcp4" or "tcp6" for addresses of that family alone, or "" or
	// "tcp". It has no effect on Sock. For Unix sockets it is "unixpacket" for sockets
	// that keep the bounds of messages, as in ServerOptions, and anything else for
	// streams.
	Network string

	// LocalAddr is the "host:port" to connect from; port 0 for any.
	LocalAddr string

	// Sock is a connected stream socket to use instead of an address, which
	// must then be "". It is duplicated and closed.
	Sock *os.File

	// HappyEyeballsDelay is how long an address is tried alone before the next
	// one is tried beside it (RFC 8305). 0 means 250 ms; negative: one after
	// the other.
	HappyEyeballsDelay time.Duration

	// Interleave is how many addresses of the first family are tried before
	// the families alternate. 0 means 1; negative: in the resolver's order.
	Interleave int

	// AllErrors returns the errors of all addresses, joined, instead of the
	// first one's.
	AllErrors bool

	// KeepAlive sets SO_KEEPALIVE.
	KeepAlive bool

	// TLS makes the connection begin with a TLS handshake as the client, at whose
	// end CreateConnection returns; nil: no TLS. The options are copied.
	TLS *TLSOptions

	// CloseTimeout, IdleTimeout and WriteCap are as in ServerOptions.

	CloseTimeout time.Duration
	IdleTimeout  time.Duration
	WriteCap     int
}

// CreateConnection connects to addr, "host:port", where an empty host is the
// local one, and makes a transport for p. It returns after ConnectionMade has;
// data may have been received by then. Addresses are tried as RFC 8305 says.
//
// When ctx ends first, the attempt is given up and nothing is left of it; a
// transport whose ConnectionMade has been called is returned in any case.
//
// CreateConnection may be called from any goroutine except the loop's.
//
// Errors: *net.OpError with ECONNREFUSED, ETIMEDOUT …; *net.DNSError;
// ErrNoAddress; net.UnknownNetworkError; ctx's; transport.ErrNilProtocol; ErrBadOption
// for a negative CloseTimeout, IdleTimeout or WriteCap; ErrOnLoop; a panic of
// ConnectionMade, or of a GetBuffer that is called before CreateConnection returns.
// With TLS also, in a *net.OpError that names the peer, *tls.CertificateVerificationError,
// tls.RecordHeaderError, an alert of the peer as another *net.OpError,
// transport.ErrHandshakeTimeout, io.ErrUnexpectedEOF with ECONNRESET where the peer
// closed; p has then had no callback.
func (l *Loop) CreateConnection(ctx context.Context, p protocol.Protocol, addr string,
	opts *ConnectionOptions) (transport.Transport, error) {
	return block(ctx, l, func(done func(transport.Transport, error)) {
		l.CreateConnectionFunc(ctx, p, addr, opts, done)
	})
}

// CreateConnectionFunc is CreateConnection for the loop's goroutine: done is
// called on it, once, possibly before CreateConnectionFunc returns.
func (l *Loop) CreateConnectionFunc(ctx context.Context, p protocol.Protocol, addr string,
	opts *ConnectionOptions, done func(transport.Transport, error)) {
	l.check()
	d := l.newDial(ctx, p, opts, done)
	switch {
	case d == nil:
	case !d.nameServer(addr):
	case d.opts.Sock != nil:
		d.adopt(addr, false)
	default:
		d.resolve(addr)
	}
}

// newDial calls done and returns nil where there is no protocol or the options are
// wrong.
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

// ConnectAcceptedSocket makes a server's side transport of a socket that was
// accepted elsewhere. f is duplicated and closed. With ServerOptions.TLS it returns
// when the handshake is over, or ctx ends it.
//
// ConnectAcceptedSocket may be called from any goroutine except the loop's.
//
// Errors: ErrNotStream, transport.ErrNilProtocol, ErrBadOption, ctx's, ErrOnLoop.
func (l *Loop) ConnectAcceptedSocket(ctx context.Context, p protocol.Protocol, f *os.File,
	opts *ServerOptions) (transport.Transport, error) {
	return block(ctx, l, func(done func(transport.Transport, error)) {
		l.ConnectAcceptedSocketFunc(ctx, p, f, opts, done)
	})
}

// ConnectAcceptedSocketFunc is ConnectAcceptedSocket for the loop's goroutine: done is
// called on it, once, possibly before ConnectAcceptedSocketFunc returns.
func (l *Loop) ConnectAcceptedSocketFunc(ctx context.Context, p protocol.Protocol,
	f *os.File, opts *ServerOptions, done func(transport.Transport, error)) {
	l.check()
	if opts == nil {
		opts = &ServerOptions{}
	}
	err := opts.check()
	switch {
	case p == nil:
		err = transport.ErrNilProtocol
	case err == nil:
		err = ctx.Err()
	}
	if err != nil {
		done(nil, err)
		return
	}
	d := &dial{loop: l, ctx: ctx, protocol: p, done: done,
		kind: kindOf(opts.Network), made: l.originHere(), server: true}
	d.opts = ConnectionOptions{Sock: f, KeepAlive: opts.KeepAlive, TLS: opts.TLS.copy(),
		CloseTimeout: opts.CloseTimeout, IdleTimeout: opts.IdleTimeout, WriteCap: opts.WriteCap}
	d.adopt("", false)
}

// adopt makes a transport of a socket that the user connected, which must be a
// Unix one if unix says so.
func (d *dial) adopt(addr string, unix bool) {
	if addr != "" {
		d.done(nil, errors.New("loop: ConnectionOptions.Sock goes without an address"))
		return
	}
	fd, family, err := d.loop.adoptSocket(d.opts.Sock, d.kind, unix)
	if err != nil {
		d.done(nil, err)
		return
	}
	d.connected(fd, family)
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

func (d *dial) setOptions(fd int) error {
	if err := d.loop.engine.SetOption(fd, proactor.NoDelay, 1); err != nil {
		return err
	}
	if !d.opts.KeepAlive {
		return nil
	}
	return d.loop.engine.SetOption(fd, proactor.KeepAlive, 1)
}

// interleave puts n addresses of the first family first and then alternates
// between the families, each in the resolver's order.
func interleave(addrs []netip.AddrPort, n int) []netip.AddrPort {
	if n < 0 || len(addrs) == 0 {
		return addrs
	}
	var first, other []netip.AddrPort
	for _, a := range addrs {
		if a.Addr().Is4() == addrs[0].Addr().Is4() {
			first = append(first, a)
		} else {
			other = append(other, a)
		}
	}
	lead := min(max(n, 1)-1, len(first))
	out := append([]netip.AddrPort(nil), first[:lead]...)
	first = first[lead:]
	for len(first) > 0 || len(other) > 0 {
		if len(first) > 0 {
			out, first = append(out, first[0]), first[1:]
		}
		if len(other) > 0 {
			out, other = append(out, other[0]), other[1:]
		}
	}
	return out
}
