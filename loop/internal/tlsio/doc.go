// Package tlsio is TLS as a protocol below and a transport above: its lower
// half is the protocol of any transport.Transport, whose bytes it decrypts, and
// its upper half is the transport.Transport that the application's protocol sees.
// It can be stacked: the transport below may be one of this package.
//
// Programs ask package loop for it, with ServerOptions.TLS, ConnectionOptions.TLS
// or Loop.StartTLS; this package has no loop, no socket and no clock of its own,
// only a Host.
//
// # How it works
//
// It is crypto/tls, unmodified, over a connection in memory. The handshake, which
// crypto/tls cannot interrupt, runs in a coroutine that gives way whenever the
// memory is empty, and ends with the handshake. From then on Conn.Read is called
// as long as there are bytes: empty memory answers with a net.Error whose
// Temporary is true, which crypto/tls passes on and forgets. There is no goroutine
// and no stack for a connection.
//
// What is written is encrypted at once, as long as the transport below takes it;
// what it does not take waits as plaintext, which is what the water marks count.
package tlsio
