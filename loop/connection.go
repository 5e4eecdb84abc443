package loop

import (
	"context"
	"os"
	"time"

	"github.com/sluice-net/sluice/loop/internal/opener"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// ConnectionOptions configure CreateConnection and CreateUnixConnection. The latter does
// not use the options that concern addresses. The zero value is ready to use.
type ConnectionOptions struct {
	// Network is "tcp4" or "tcp6" to use only addresses of that family, or "tcp" or "" to
	// use both. It has no effect on Sock. For Unix sockets, "unixpacket" means sockets
	// that preserve message boundaries, as in ServerOptions; anything else means stream
	// sockets.
	Network string

	// LocalAddr is the "host:port" to connect from; port 0 means any port.
	LocalAddr string

	// Sock is a connected stream socket to use instead of an address; the address must
	// then be "". The loop duplicates Sock and closes it.
	Sock *os.File

	// HappyEyeballsDelay is how long to try an address before trying the next one in
	// parallel (RFC 8305). 0 means 250 ms; a negative delay means to try one address
	// after the other.
	HappyEyeballsDelay time.Duration

	// Interleave is how many addresses of the first family are tried before the families
	// alternate. 0 means 1; a negative number keeps the resolver's order.
	Interleave int

	// AllErrors makes a failure return the errors of all addresses, joined, instead of
	// the first one.
	AllErrors bool

	// KeepAlive sets SO_KEEPALIVE.
	KeepAlive bool

	// TLS makes the connection begin with a TLS handshake, in which the loop is the
	// client; CreateConnection returns when the handshake is over. nil means no TLS. The
	// options are copied.
	TLS *TLSOptions

	// CloseTimeout, IdleTimeout and WriteCap are as in ServerOptions.
	CloseTimeout time.Duration
	IdleTimeout  time.Duration
	WriteCap     int
}

// CreateConnection connects to addr, "host:port", and makes a transport for p. An empty
// host means the local host. CreateConnection returns after ConnectionMade has returned;
// p may have received data by then. Addresses are tried as RFC 8305 describes.
//
// If ctx ends first, the attempt is given up and leaves nothing behind. A transport whose
// ConnectionMade has been called is returned in any case.
//
// CreateConnection may be called from any goroutine except the loop's.
//
// Errors: *net.OpError with ECONNREFUSED, ETIMEDOUT …; *net.DNSError; ErrNoAddress;
// net.UnknownNetworkError; ctx's error; transport.ErrNilProtocol; ErrBadOption for a
// negative CloseTimeout, IdleTimeout or WriteCap; ErrOnLoop; a panic in ConnectionMade,
// or in a GetBuffer that is called before CreateConnection returns. With TLS, the errors
// of the handshake as well, in a *net.OpError that names the peer:
// *tls.CertificateVerificationError, tls.RecordHeaderError, an alert from the peer as
// another *net.OpError, transport.ErrHandshakeTimeout, or io.ErrUnexpectedEOF with
// ECONNRESET if the peer closed the connection. p has then had no callback.
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
	if s := l.newSetup(ctx, p, addr, opts, done); s != nil {
		opener.Connect(ctx, (*host)(l), addr, s.opts.connect(), s.opened)
	}
}

// ConnectAcceptedSocket makes the server-side transport of a socket that was accepted
// elsewhere. It duplicates f and closes it, unless it refuses p or the options. With
// ServerOptions.TLS it returns when the handshake is over, or when ctx ends it.
//
// ConnectAcceptedSocket may be called from any goroutine except the loop's.
//
// Errors: ErrNotStream, or with Network "unixpacket" ErrNotSeqPacket, in a *net.OpError;
// ErrPacketsTLS; transport.ErrNilProtocol; ErrBadOption; errors in the TLSOptions, and
// those of a handshake (see CreateConnection); ctx's error; ErrOnLoop.
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
	kind, err := opener.KindOf(opts.Network), opts.check()
	if err == nil {
		err = checkKind(kind, opts.TLS)
	}
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
	s := &setup{loop: l, ctx: ctx, protocol: p, done: done, kind: kind,
		made: l.originHere(), server: true}
	s.opts = ConnectionOptions{Network: opts.Network, Sock: f, KeepAlive: opts.KeepAlive,
		TLS: opts.TLS.copy(), CloseTimeout: opts.CloseTimeout, IdleTimeout: opts.IdleTimeout,
		WriteCap: opts.WriteCap}
	opener.AdoptConnected((*host)(l), s.opts.connect(), s.opened)
}
