package stream

import (
	"context"
	"crypto/tls"
	"net"

	"github.com/sluice-net/sluice/transport"
)

// DefaultLimit is the default read limit of a Conn in bytes, the same as that of
// asyncio's StreamReader. See Conn.SetReadLimit.
const DefaultLimit = 64 << 10

// writeAhead limits the bytes that are written but not yet passed to the transport, which
// has its own water marks.
const writeAhead = 64 << 10

// Conn is a connection on a loop that implements [net.Conn]. Dial and Listener.Accept
// return it.
//
// Reading: received data goes straight into the slice of a waiting Read; otherwise it is
// buffered, up to twice the limit (see SetReadLimit). Then the transport pauses reading
// until no more than the limit is left, which slows the peer down. Writing: Write returns
// when all data has been accepted, and waits while more is buffered than the transport's
// high mark. So data that has been written may not have been sent yet. Errors are
// returned by the next Read or Write.
//
// Reads take turns, and so do writes: the data of one Write is not interleaved with that
// of another.
//
// All errors except io.EOF are *[net.OpError] values, like those of package net. They
// wrap [os.ErrDeadlineExceeded], whose Timeout is true; [net.ErrClosed] after Close, or
// after the loop was shut down; [loop.ErrLoopClosed] after the loop was closed without a
// shutdown; an errno such as ECONNRESET in an [os.SyscallError]; or an error of TLS.
type Conn struct {
	connected
	server bool // it was accepted

	// mu guards what follows.

	dst       []byte // the slice of the waiting Read
	direct    int    // bytes put into dst
	in        queue  // received, not yet read
	limit     int
	out       queue // written, not yet passed to the transport
	upgrading context.CancelFunc
	secure    *tls.ConnectionState // nil without TLS
}

var _ net.Conn = (*Conn)(nil)

func newConn(h *hub, network string) *Conn {
	c := &Conn{limit: DefaultLimit}
	c.init(h, network, c)
	return c
}

// Close closes the connection and returns at once. The loop still sends what was written,
// within two minutes; what was received but not read is dropped. Waiting calls return
// net.ErrClosed. See WaitClosed for how to wait for the end, and Abort.
//
// Error: net.ErrClosed when called again.
func (c *Conn) Close() error { return c.close() }

// CloseWrite ends the stream to the peer after all that was written; reading goes on. It
// returns at once. Later writes fail with EPIPE.
//
// Errors: transport.ErrNoHalfClose with TLS; net.ErrClosed; the error that ended the
// connection.
func (c *Conn) CloseWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed && (c.secure != nil || c.upgrading != nil) {
		return c.fault("close", transport.ErrNoHalfClose)
	}
	return c.closeWrite()
}

// closing implements kind. It also ends a handshake.
func (c *Conn) closing() {
	c.in.drop()
	if c.upgrading != nil {
		c.upgrading()
	}
}

// ended implements kind. What was received can still be read.
func (c *Conn) ended() {
	c.connected.ended()
	c.out.drop()
}
