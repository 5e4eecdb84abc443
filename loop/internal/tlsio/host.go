package tlsio

import (
	"crypto/tls"
	"time"

	"github.com/sluice-net/sluice/loop/internal/guard"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// Host is what a TLS transport needs from its loop. All its methods must be called
// on the loop's goroutine.
type Host interface {
	guard.Host

	// Buffer lends an empty slice with room for n bytes, or the largest there is if
	// n exceeds that. Free takes it back.
	Buffer(n int) []byte
	Free(b []byte)
}

// Config is the configuration of a TLS transport.
type Config struct {
	// TLS is used as it is and not copied, so that servers share its session
	// tickets. A client's has its ServerName set.
	TLS *tls.Config

	// Server says which side of the handshake this is.
	Server bool

	// Protocol is the application's protocol, of a kind that CheckProtocol accepts.
	Protocol protocol.Protocol

	// Factory returns the protocol once the handshake has succeeded, if Protocol is
	// nil.
	Factory func() (protocol.Protocol, error)

	// Upgrade says that the protocol's ConnectionMade was already called on the
	// transport below: it is not called again, and ConnectionLost is called even if
	// the handshake fails.
	Upgrade bool

	// Prefix is input from the peer that was already received. It is copied.
	Prefix []byte

	// HandshakeTimeout bounds the handshake; 0 means DefaultHandshakeTimeout.
	HandshakeTimeout time.Duration

	// ShutdownTimeout bounds the wait for the peer's close_notify after ours was
	// sent; when it passes, ConnectionLost gets transport.ErrShutdownTimeout. 0
	// means to wait for DefaultShutdownTimeout at most, which may pass without an
	// error.
	ShutdownTimeout time.Duration

	// CloseTimeout bounds the time from Close to ConnectionLost. 0: no bound.
	CloseTimeout time.Duration

	// WriteCap is the maximum number of bytes buffered. 0: no limit.
	WriteCap int

	// RequireCloseNotify turns an EOF from the peer without close_notify into an
	// error, transport.ErrNoCloseNotify.
	RequireCloseNotify bool

	// Done is called once: with nil after ConnectionMade, before any data; or, when
	// nothing is left of the connection, with the error that ended the handshake or
	// that came from Factory or ConnectionMade. HandshakeOK tells which.
	Done func(t *Transport, err error)
}

// The timeouts if none was asked for.
const (
	// DefaultHandshakeTimeout is the same as asyncio's.
	DefaultHandshakeTimeout = 60 * time.Second

	// DefaultShutdownTimeout is much shorter than asyncio's 30 s: many peers never
	// answer a close_notify, and nothing is lost if they do not.
	DefaultShutdownTimeout = time.Second
)

// DefaultLimits are asyncio's water marks for TLS: 512 KiB and 128 KiB.
var DefaultLimits = transport.Limits{High: 512 << 10, Low: 128 << 10}

// DefaultReadLimits are asyncio's water marks for input that has not been decrypted
// yet: 256 KiB and 64 KiB.
var DefaultReadLimits = transport.Limits{High: 256 << 10, Low: 64 << 10}
