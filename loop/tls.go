package loop

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"time"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/guard"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/relay"
	"github.com/sluice-net/sluice/loop/internal/tlsio"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// nameServer sets the server's name in the options to the host of addr if they have none.
// It returns an error if the options cannot be used.
func (s *setup) nameServer(addr string) error {
	if s.opts.TLS == nil {
		return nil
	}
	name := s.opts.TLS.ServerName
	if host, _, err := net.SplitHostPort(addr); err == nil && name == "" &&
		(s.opts.TLS.Config == nil || s.opts.TLS.Config.ServerName == "") {
		name = host
	}
	s.opts.TLS.Config = withServerName(s.opts.TLS.Config, name)
	return s.opts.tls().Check()
}

// secure makes a TLS transport on a connected descriptor. done is called when the
// handshake has succeeded or, if it fails, when the descriptor has been closed.
func (s *setup) secure(fd int, family proactor.Family) {
	l := s.loop
	c := s.opts.tls()
	c.Server, c.Protocol = s.server, s.protocol
	var t *tlsio.Transport
	stop := l.whenDone(s.ctx, func() { t.Cancel(s.ctx.Err()) })
	c.Done = func(t *tlsio.Transport, err error) { l.handshakeDone(t, err, stop, s.done) }
	t = tlsio.New((*host)(l), c)
	stream := l.newStream(fdio.Config{FD: fd, Protocol: t.Lower(),
		IdleTimeout: s.opts.IdleTimeout}, family, nil)
	l.noteNew(stream, s.made)
	stream.Start()
}

// handshakeDone handles the end of a handshake that a caller waits for.
func (l *Loop) handshakeDone(t *tlsio.Transport, err error, stop func(),
	done func(transport.Transport, error)) {
	stop()
	l.countHandshake(t)
	if err == nil {
		done(t, nil)
		return
	}
	err = withPeer(t, err)
	l.CallSoon(func() { done(nil, err) }) // after the descriptor is closed
}

// withPeer adds the peer's address to the error of a handshake, unless err names it
// already or the reason is not the peer but the caller's ctx or protocol.
func withPeer(t *tlsio.Transport, err error) error {
	op, ok := errors.AsType[*net.OpError](err)
	peer := transport.PeerName(t)
	if t.HandshakeOK() || peer == nil || ok && op.Addr != nil ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &net.OpError{Op: "tls handshake", Net: peer.Network(), Addr: peer, Err: err}
}

func (l *Loop) countHandshake(t *tlsio.Transport) {
	if t.HandshakeOK() {
		l.handshakes++
	} else {
		l.handshakesFailed++
	}
}

// acceptedTLS makes a TLS transport on an accepted descriptor.
func (s *Server) acceptedTLS(fd int, family proactor.Family) {
	c := s.opts.tls()
	c.Factory, c.Done = s.makeProtocol, s.handshakeDone
	t := tlsio.New((*host)(s.loop), c)
	s.conns++
	stream := s.loop.newStream(fdio.Config{FD: fd, Protocol: t.Lower(), Owner: (*clients)(s),
		IdleTimeout: s.opts.IdleTimeout}, family, &s.local)
	s.loop.noteNew(stream, s.made)
	stream.Start()
}

// handshakeDone handles the end of the handshake of one of the server's connections. A
// failure of the factory or ConnectionMade has already been reported, and does not count
// as a failure of the handshake.
func (s *Server) handshakeDone(t *tlsio.Transport, err error) {
	s.loop.countHandshake(t)
	if t.HandshakeOK() || s.opts.TLS.OnHandshakeError == nil {
		return
	}
	defer func() {
		if r := recover(); r != nil {
			s.loop.report(Exception{Message: "Exception in TLSOptions.OnHandshakeError",
				Err: &protocol.PanicError{Callback: "OnHandshakeError", Value: r,
					Stack: debug.Stack()}, Transport: t})
		}
	}()
	s.opts.TLS.OnHandshakeError(transport.PeerName(t), err)
}

// topOf returns the transport that the application's protocol has: top, or the TLS
// transport on top of it.
func topOf(top transport.Transport) transport.Transport {
	for {
		over, ok := tlsio.Over(top.Protocol())
		if !ok {
			return top
		}
		top = over
	}
}

// established reports whether t's protocol has had ConnectionMade.
func established(t transport.Transport) bool {
	over, ok := t.(*tlsio.Transport)
	return !ok || over.Established()
}

// StartTLS adds TLS on top of an open connection, which may already have TLS. When the
// handshake has succeeded, it returns the transport that p has from then on. A nil cfg
// means TLSOptions.Config; nil options mean the zero TLSOptions, which are those of a
// client. t must not be used any more. p, which is usually the protocol that t had, gets
// no second ConnectionMade. What was written to t is sent before the handshake.
// CloseTimeout, IdleTimeout and WriteCap stay in force. If writing is paused, it stays
// paused, and ResumeWriting comes after the handshake; if reading is paused, it resumes.
//
// From the moment when t is taken over, which is before StartTLSFunc returns, everything
// that arrives is taken as TLS. A protocol that may receive TLS data earlier must pause
// reading, or hand over what it has received as TLSOptions.Prefix.
//
// If the handshake fails or ctx ends first, the connection is closed, p's ConnectionLost
// gets the error, and then StartTLS returns it, with the peer's address.
//
// StartTLS may be called from any goroutine except the loop's.
//
// Errors: those of a handshake (see CreateConnection); ctx's error; and, leaving the
// connection as it was, transport.ErrClosed if t is closing, transport.ErrNilProtocol,
// transport.ErrProtocolKind, ErrTLSBelow, ErrRelayed, errors.ErrUnsupported for a pipe,
// ErrNoTLSConfig, ErrNoServerName and other errors in the TLSOptions, ErrOnLoop.
func (l *Loop) StartTLS(ctx context.Context, t transport.Transport, p protocol.Protocol,
	cfg *tls.Config, opts *TLSOptions) (transport.Transport, error) {
	return block(ctx, l, func(done func(transport.Transport, error)) {
		l.StartTLSFunc(ctx, t, p, cfg, opts, done)
	})
}

// StartTLSFunc is StartTLS for the loop's goroutine: done is called on it, once,
// possibly before StartTLSFunc returns, and before any data.
func (l *Loop) StartTLSFunc(ctx context.Context, t transport.Transport, p protocol.Protocol,
	cfg *tls.Config, opts *TLSOptions, done func(transport.Transport, error)) {
	l.check()
	if opts == nil {
		opts = &TLSOptions{}
	}
	if cfg == nil {
		cfg = opts.Config
	}
	c := opts.config()
	c.TLS, c.Server = withServerName(cfg, opts.ServerName), opts.ServerSide
	c.Protocol, c.Upgrade, c.Prefix = p, true, opts.Prefix
	if err := checkUpgrade(t, p, c); err != nil {
		done(nil, err)
		return
	}
	if from, ok := t.(interface{ HandOver() (int, time.Duration) }); ok {
		c.WriteCap, c.CloseTimeout = from.HandOver()
	}
	var over *tlsio.Transport
	stop := l.whenDone(ctx, func() { over.Cancel(ctx.Err()) })
	c.Done = func(t *tlsio.Transport, err error) { l.handshakeDone(t, err, stop, done) }
	over = tlsio.New((*host)(l), c)
	if err := t.SetProtocol(over.Lower()); err != nil {
		stop()
		done(nil, err)
		return
	}
	over.Attach(t)
}

// checkUpgrade returns an error if TLS cannot be added on top of t.
func checkUpgrade(t transport.Transport, p protocol.Protocol, c *tlsio.Config) error {
	if t == nil || t.IsClosing() {
		return fmt.Errorf("loop: StartTLS: %w", transport.ErrClosed)
	}
	if s, ok := t.(*fdio.Stream); ok && s.OneWay() {
		return fmt.Errorf("loop: StartTLS on a pipe: %w", errors.ErrUnsupported)
	}
	if _, packets := t.(*fdio.SeqPacket); packets {
		return ErrPacketsTLS
	}
	if _, below := tlsio.Over(t.Protocol()); below {
		return ErrTLSBelow
	}
	if relay.Is(t.Protocol()) {
		return ErrRelayed
	}
	if err := guard.CheckProtocol(p); err != nil {
		return err
	}
	return c.Check()
}
