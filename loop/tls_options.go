package loop

import (
	"crypto/tls"
	"net"
	"time"

	"github.com/sluice-net/sluice/loop/internal/tlsio"
)

// TLSOptions configure TLS: for a server's connections in ServerOptions, for a client's
// connection in ConnectionOptions, and for a connection that is already open in StartTLS.
type TLSOptions struct {
	// Config is the configuration of crypto/tls. It is required, and a server's must have
	// a certificate. It is copied if a ServerName has to be filled in, and otherwise
	// shared: do not change it any more, except with SetSessionTicketKeys. StartTLS uses
	// it if its own argument is nil.
	Config *tls.Config

	// ServerName is the name that the server's certificate must have; it is for clients.
	// If neither it nor Config gives a name, CreateConnection uses the host of the
	// address. Otherwise a name is required, unless Config sets InsecureSkipVerify.
	ServerName string

	// HandshakeTimeout limits the time of the handshake; 0 means 60 s.
	HandshakeTimeout time.Duration

	// ShutdownTimeout limits the wait for the peer's close_notify after Close has sent
	// ours; after that ConnectionLost gets transport.ErrShutdownTimeout. 0 means one
	// second, after which there is no error.
	ShutdownTimeout time.Duration

	// RequireCloseNotify turns an end of file without the peer's close_notify, which
	// anybody on the way can cause by cutting the connection, into the error
	// transport.ErrNoCloseNotify. Otherwise it counts as an ordinary end.
	RequireCloseNotify bool

	// OnHandshakeError is called, on the loop's goroutine, whenever one of a server's
	// connections ends before its handshake is over; Stats.HandshakesFailed counts these.
	// Later failures, for example of the factory, go to the exception handler. It is not
	// called for a method that waits for one handshake: the method returns the error.
	OnHandshakeError func(peer net.Addr, err error)

	// ServerSide makes the loop the server in the handshake of StartTLS. It always is for
	// a server's connections, and never for those of CreateConnection.
	ServerSide bool

	// Prefix is, for StartTLS, data that the protocol has received but that belongs to
	// the handshake, because it arrived together with the last message in the clear. It
	// is copied.
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

// config returns the options as the configuration of a TLS transport.
func (o *TLSOptions) config() *tlsio.Config {
	return &tlsio.Config{TLS: o.Config, HandshakeTimeout: o.HandshakeTimeout,
		ShutdownTimeout: o.ShutdownTimeout, RequireCloseNotify: o.RequireCloseNotify}
}

// tls returns the configuration of a TLS transport. o.TLS must not be nil.
func (o *ServerOptions) tls() *tlsio.Config {
	c := o.TLS.config()
	c.Server, c.CloseTimeout, c.WriteCap = true, o.CloseTimeout, o.WriteCap
	return c
}

// tls returns the configuration of a TLS transport. o.TLS must not be nil.
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
