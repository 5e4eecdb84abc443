package loop

import (
	"crypto/tls"
	"net"
	"time"

	"github.com/sluice-net/sluice/loop/internal/tlsio"
)

// TLSOptions are all that concerns TLS: of a server's connections in ServerOptions, of
// a client's in ConnectionOptions, of a connection that is open already in StartTLS.
type TLSOptions struct {
	// Config is that of crypto/tls, and needed. A server's has a certificate. It is
	// copied where a ServerName has to be filled in, and otherwise shared: do not
	// change it any more, except by SetSessionTicketKeys. StartTLS uses it where its
	// own argument is nil.
	Config *tls.Config

	// ServerName is the name that the peer's certificate must have, for a client.
	// CreateConnection takes the host of the address where neither this nor Config
	// says a name. Otherwise it is needed, unless Config has InsecureSkipVerify.
	ServerName string

	// HandshakeTimeout bounds the handshake; 0 means 60 s.
	HandshakeTimeout time.Duration

	// ShutdownTimeout bounds the wait for the peer's close_notify after Close has
	// sent ours; ConnectionLost then gets transport.ErrShutdownTimeout. 0 means one
	// second, and that it passes is not an error.
	ShutdownTimeout time.Duration

	// RequireCloseNotify turns the peer's end of file without close_notify, which
	// anybody who cuts the connection can cause, into transport.ErrNoCloseNotify.
	// Otherwise it is an ordinary end.
	RequireCloseNotify bool

	// OnHandshakeError is called, on the loop's goroutine, for each connection of a
	// server that ended before its handshake was over; Stats.HandshakesFailed counts
	// them. What fails later, the factory for example, goes to the exception handler.
	// Methods that wait for one handshake return its error instead.
	OnHandshakeError func(peer net.Addr, err error)

	// ServerSide makes StartTLS the server of the handshake. A server's connections
	// are always that, and CreateConnection's never.
	ServerSide bool

	// Prefix are, for StartTLS, bytes that the protocol has received and that belong
	// to the handshake: they came along with its last message in the clear. They are
	// copied.
	Prefix []byte
}

// copy returns a copy, nil for nil.
func (o *TLSOptions) copy() *TLSOptions {
	if o == nil {
		return nil
	}
	c := *o
	return &c
}

// config is what the options say, as a TLS transport is configured.
func (o *TLSOptions) config() *tlsio.Config {
	return &tlsio.Config{TLS: o.Config, HandshakeTimeout: o.HandshakeTimeout,
		ShutdownTimeout: o.ShutdownTimeout, RequireCloseNotify: o.RequireCloseNotify}
}

// tls is what the options say of TLS, which they do ask for.
func (o *ServerOptions) tls() *tlsio.Config {
	c := o.TLS.config()
	c.Server, c.CloseTimeout, c.WriteCap = true, o.CloseTimeout, o.WriteCap
	return c
}

// tls is what the options say of TLS, which they do ask for.
func (o *ConnectionOptions) tls() *tlsio.Config {
	c := o.TLS.config()
	c.CloseTimeout, c.WriteCap = o.CloseTimeout, o.WriteCap
	return c
}

// withServerName returns a Config with that name, unless it is "".
func withServerName(c *tls.Config, name string) *tls.Config {
	if c == nil || name == "" || name == c.ServerName {
		return c
	}
	c = c.Clone()
	c.ServerName = name
	return c
}
