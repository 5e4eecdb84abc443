package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/sluice-net/sluice/loop"
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

// A state is a stage in the life of a connection.
//
//	made --ConnectionMade--> open --ConnectionLost | the loop is closed--> lost
//
// Close, CloseWrite and StartTLS are requests, which the loop carries out: see Conn.
type state uint8

const (
	made state = iota
	open
	lost
)

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
	hub     *hub
	network string
	server  bool        // it was accepted
	onOpen  func(*Conn) // tells the listener, or nil
	done    chan struct{}

	local, remote net.Addr

	readMu  sync.Mutex // held by the goroutine that reads
	writeMu sync.Mutex // held by the goroutine that writes

	mu             sync.Mutex // guards what follows
	state          state
	err            error // why it was lost
	reader, writer half
	asked          bool // on the hub's list

	dst     []byte // the slice of the waiting Read
	direct  int    // bytes put into dst
	in      queue  // received, not yet read
	limit   int
	stopped bool // reading is paused
	eof     bool // the peer has ended its stream

	out       queue // written, not yet passed to the transport
	full      bool  // the transport asked to pause
	ending    bool  // CloseWrite was called
	closed    bool  // Close was called
	aborted   bool  // Abort was called
	late      bool  // aborted, because the rest was not sent in time
	linger    *time.Timer
	upgrading context.CancelFunc
	secure    *tls.ConnectionState // nil without TLS

	transport transport.Transport // the loop's goroutine
}

var _ net.Conn = (*Conn)(nil)

func newConn(h *hub, network string) *Conn {
	c := &Conn{hub: h, network: network, limit: DefaultLimit, done: make(chan struct{})}
	c.reader.mu, c.writer.mu = &c.mu, &c.mu
	return c
}

// Close closes the connection and returns at once. The loop still sends what was written,
// within two minutes; what was received but not read is dropped. Waiting calls return
// net.ErrClosed. See WaitClosed for how to wait for the end, and Abort.
//
// Error: net.ErrClosed when called again.
func (c *Conn) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return c.fault("close", net.ErrClosed)
	}
	c.closed = true
	c.in.drop()
	c.reader.stop()
	c.writer.stop()
	cancel := c.upgrading
	c.ask()
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

// WaitClosed waits until the connection is completely closed: after Close, until the
// peer's kernel has all that was written. It returns the error that ended the connection,
// nil if it ended in an orderly way, transport.ErrCloseTimeout if the peer did not take
// the data in time, or ctx's error.
func (c *Conn) WaitClosed(ctx context.Context) error {
	if err := c.hub.await(ctx, c.done); err != nil {
		return c.fault("wait", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		return nil
	}
	return c.fault("wait", inner(c.err))
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

// LocalAddr returns the address of this end, even after the connection is gone.
func (c *Conn) LocalAddr() net.Addr { return addr(c.local, c.network) }

// RemoteAddr returns the address of the peer, even after the connection is gone.
func (c *Conn) RemoteAddr() net.Addr { return addr(c.remote, c.network) }

// addr returns a, or an address without a name if a is nil.
func addr(a net.Addr, network string) net.Addr {
	switch {
	case a != nil:
		return a
	case network == "unix":
		return &net.UnixAddr{Net: network}
	}
	return &net.TCPAddr{}
}

// SetDeadline calls both SetReadDeadline and SetWriteDeadline.
func (c *Conn) SetDeadline(t time.Time) error {
	return c.setDeadlines(t, &c.reader, &c.writer)
}

// SetReadDeadline makes Read and WriteTo, including calls that are already waiting, fail
// with os.ErrDeadlineExceeded from t on; the zero time means never. Error: net.ErrClosed.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadlines(t, &c.reader) }

// SetWriteDeadline is SetReadDeadline for Write and ReadFrom. Data that was accepted
// before is still sent; Write returns how much that was.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(t, &c.writer) }

func (c *Conn) setDeadlines(t time.Time, halves ...*half) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.fault("set", net.ErrClosed)
	}
	for _, h := range halves {
		h.setDeadline(t)
	}
	return nil
}

// ask makes the loop call serve on its goroutine. mu is held.
func (c *Conn) ask() {
	if !c.asked {
		c.asked = true
		c.hub.ask(c)
	}
}

// fault returns the error of an operation.
func (c *Conn) fault(op string, err error) error {
	return &net.OpError{Op: op, Net: c.network, Source: c.local, Addr: c.remote, Err: err}
}

// broken returns the reason why a lost connection cannot be used. mu is held.
func (c *Conn) broken(call string) error {
	switch {
	case c.err != nil:
		return inner(c.err)
	case c.eof: // the peer's end of the stream ended ours as well, as with TLS
		return errno(call, syscall.ECONNRESET)
	}
	return net.ErrClosed
}

// unusable returns the reason why no read or write may begin, or nil. mu is held.
func (c *Conn) unusable(h *half) error {
	switch {
	case c.closed:
		return net.ErrClosed
	case h.expired():
		return os.ErrDeadlineExceeded
	}
	return nil
}

// loopClosed implements member: the loop was closed, and has closed the descriptor.
func (c *Conn) loopClosed() { c.end(loop.ErrLoopClosed) }

// end handles the end of the connection. The first reason is kept.
func (c *Conn) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == lost {
		return
	}
	c.state = lost
	c.err = err
	if c.late && err == nil {
		c.err = transport.ErrCloseTimeout
	}
	if c.linger != nil {
		c.linger.Stop()
	}
	if errors.Is(err, net.ErrClosed) {
		c.err = net.ErrClosed
	}
	c.out.drop()
	c.reader.stop()
	c.writer.stop()
	close(c.done)
}
