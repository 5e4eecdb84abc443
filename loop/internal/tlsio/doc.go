// Package tlsio implements TLS as a protocol below and a transport above: its lower
// half is the protocol of any transport.Transport, whose bytes it decrypts, and its
// upper half is the transport.Transport that the application's protocol sees. It
// can be stacked: the transport below may itself come from this package.
//
// Programs get it through package loop, with ServerOptions.TLS,
// ConnectionOptions.TLS or Loop.StartTLS; this package has no loop, no socket and
// no clock of its own, only a Host.
//
// # How it works
//
// It is crypto/tls, unmodified, over an in-memory connection. The handshake, which
// crypto/tls cannot interrupt, runs in a coroutine that yields whenever the memory
// is empty, and that ends with the handshake. From then on Conn.Read is called for
// as long as there are bytes: empty memory answers with a net.Error whose Temporary
// is true, which crypto/tls passes on and forgets. No connection needs a goroutine
// or a stack.
//
// What is written is encrypted at once, for as long as the transport below accepts
// it; anything beyond that waits as plaintext, which is what the water marks count.
package tlsio
