package stream

import (
	"context"
	"crypto/tls"
	"net"
	"syscall"
	"time"

	"github.com/sluice-net/sluice/transport"
)

// DefaultLimit is the default read limit of a Conn in bytes, the same as that of
// asyncio's StreamReader. See Conn.SetReadLimit.
const DefaultLimit = 64 << 10

// writeAhead limits the bytes that are written but not yet passed to the transport, which
// has its own water marks.
const writeAhead = 64 << 10

// lingerMax limits how long a closed connection may take to send the rest to a peer that
// reads slowly or not at all. The kernel gives its orphaned connections about the same
// time (tcp_orphan_retries, tcp(7)).
const lingerMax = 2 * time.Minute

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
	core[transport.Transport]
	server bool        // it was accepted
	onOpen func(*Conn) // tells the listener, or nil

	// mu guards what follows.

	dst    []byte // the slice of the waiting Read
	direct int    // bytes put into dst
	in     queue  // received, not yet read
	limit  int
	eof    bool // the peer has ended its stream

	out       queue // written, not yet passed to the transport
	ending    bool  // CloseWrite was called
	aborted   bool  // Abort was called
	late      bool  // aborted, because the rest was not sent in time
	linger    *time.Timer
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
func (c *Conn) Close() error {
	if err := c.close(); err != nil {
		return err
	}
	c.mu.Lock()
	cancel := c.upgrading
	c.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	return nil
}

// Abort closes the connection at once: what was written but not yet sent is dropped. It
// may be called after Close, to stop sending to a peer that does not read.
func (c *Conn) Abort() {
	c.abort(false)
	_ = c.Close() // usually for the second time
}

func (c *Conn) abort(late bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.aborted, c.late = true, late
	c.ask()
}

// CloseWrite ends the stream to the peer after all that was written; reading goes on. It
// returns at once. Later writes fail with EPIPE.
//
// Errors: transport.ErrNoHalfClose with TLS; net.ErrClosed; the error that ended the
// connection.
func (c *Conn) CloseWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return c.fault("close", net.ErrClosed)
	case c.secure != nil || c.upgrading != nil:
		return c.fault("close", transport.ErrNoHalfClose)
	case c.state == lost:
		return c.fault("close", c.broken("shutdown"))
	}
	c.ending = true
	c.writer.wake()
	c.ask()
	return nil
}

// RemoteAddr returns the address of the peer, even after the connection is gone.
func (c *Conn) RemoteAddr() net.Addr { return addr(c.remote, c.network) }

// broken returns the reason why a lost connection cannot be used. mu is held.
func (c *Conn) broken(call string) error {
	if c.err == nil && c.eof { // the peer's end of the stream ended ours as well, as with TLS
		return errno(call, syscall.ECONNRESET)
	}
	return c.whyLost()
}

// dropInput implements kind.
func (c *Conn) dropInput() { c.in.drop() }

// ended implements kind. What was received can still be read.
func (c *Conn) ended() {
	if c.late && c.err == nil {
		c.err = transport.ErrCloseTimeout
	}
	if c.linger != nil {
		c.linger.Stop()
	}
	c.out.drop()
}
