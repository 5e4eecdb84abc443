package tlsio

import (
	"crypto/tls"
	"time"

	"github.com/sluice-net/sluice/loop/internal/guard"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// Host is what a TLS transport needs of its loop. All of it is for the loop's
// goroutine.
type Host interface {
	guard.Host

	// Buffer lends an empty slice with room for n bytes, or for as many as the
	// largest that there is if n is more. Free takes it back.
	Buffer(n int) []byte
	Free(b []byte)
}

// Config is what a TLS transport is made of.
type Config struct {
	// TLS is used as it is and not copied, so that servers share its session
	// tickets. A client's has its ServerName.
	TLS *tls.Config

	// Server says which side of the handshake this is.
	Server bool

	// Protocol is the application's, of a kind that CheckProtocol takes.
	Protocol protocol.Protocol

	// Factory makes the protocol when the handshake has succeeded, where
	// Protocol is nil.
	Factory func() (protocol.Protocol, error)

	// Upgrade says that the protocol had its ConnectionMade on the transport
	// below: it is not called again, and ConnectionLost is called also when the
	// handshake fails.
	Upgrade bool

	// Prefix are bytes of the peer that were received already. They are copied.
	Prefix []byte

	// HandshakeTimeout bounds the handshake; 0 means DefaultHandshakeTimeout.
	HandshakeTimeout time.Duration

	// ShutdownTimeout bounds the wait for the peer's close_notify after ours was
	// sent; ConnectionLost then gets transport.ErrShutdownTimeout. 0 means that
	// no more than DefaultShutdownTimeout is waited, and its passing is no error.
	ShutdownTimeout time.Duration

	// CloseTimeout bounds the time from Close to ConnectionLost. 0: no bound.
	CloseTimeout time.Duration

	// WriteCap is the most bytes buffered. 0: no limit.
	WriteCap int

	// RequireCloseNotify makes the peer's EOF without close_notify an error,
	// transport.ErrNoCloseNotify.
	RequireCloseNotify bool

	// Done is called once: with nil after ConnectionMade, before any data, or
	// with what ended the handshake, or came of Factory or ConnectionMade, when
	// nothing is left of the connection. HandshakeOK tells which.
	Done func(t *Transport, err error)
}

// The times that are waited where nothing else was asked for.
const (
	// DefaultHandshakeTimeout is asyncio's.
	DefaultHandshakeTimeout = 60 * time.Second

	// DefaultShutdownTimeout is much shorter than asyncio's 30 s: many peers never
	// answer a close_notify, and nothing is lost when they do not.
	DefaultShutdownTimeout = time.Second
)

// DefaultLimits are asyncio's water marks for TLS: 512 KiB and 128 KiB.
var DefaultLimits = transport.Limits{High: 512 << 10, Low: 128 << 10}

// DefaultReadLimits are asyncio's for input that was not decrypted yet: 256 KiB
// and 64 KiB.
var DefaultReadLimits = transport.Limits{High: 256 << 10, Low: 64 << 10}
