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

// DefaultLimit is how many bytes may be received ahead of whoever reads, before
// reading pauses: asyncio's limit of a StreamReader.
const DefaultLimit = 64 << 10

// writeAhead bounds what is written and not yet passed to the transport, which has
// its own water marks.
const writeAhead = 64 << 10

// lingerMax bounds how long a connection that was closed may take to send the rest to
// a peer that reads slowly or not at all. The kernel gives its own such connections
// about as long (tcp_orphan_retries, tcp(7)).
const lingerMax = 2 * time.Minute

// state is where a connection is in its life.
//
//	made --ConnectionMade--> open --ConnectionLost | the loop is closed--> lost
//
// Close, CloseWrite and StartTLS are wishes, which the loop carries out: see Conn.
type state uint8

const (
	made state = iota
	open
	lost
)

// Conn is a connection of a loop, as a [net.Conn]. Dial makes it, and Accept of a
// Listener.
//
// Reading: what is received goes straight to the slice of a Read that waits, else it
// is kept, up to twice the limit (SetReadLimit); then the transport pauses until no
// more than the limit is left, and the peer feels it. Writing: Write returns when
// all was accepted, and waits while more is buffered than the transport's high mark.
// So what was written is not yet sent. Errors come to whoever reads or writes next.
//
// Reads take turns, and so do writes: what one Write was given is sent in one piece.
//
// All errors but io.EOF are *[net.OpError] values, as those of package net: around
// [os.ErrDeadlineExceeded], whose Timeout is true; [net.ErrClosed] after Close, and
// when the loop was shut down; [loop.ErrLoopClosed] when it was closed without that;
// an errno, ECONNRESET say, in an [os.SyscallError]; or what TLS found.
type Conn struct {
	hub     *hub
	network string
	server  bool        // it was accepted
	onOpen  func(*Conn) // tells the listener, or nil
	done    chan struct{}

	local, remote net.Addr

	readMu  sync.Mutex // held by who reads
	writeMu sync.Mutex // held by who writes

	mu             sync.Mutex // guards what follows
	state          state
	err            error // why it was lost
	reader, writer half
	asked          bool // on the hub's list

	dst     []byte // of the Read that waits
	direct  int    // bytes that were put there
	in      queue  // received, not yet read
	limit   int
	stopped bool // reading is paused
	eof     bool // the peer has sent all

	out       queue // written, not yet passed to the transport
	full      bool  // the transport asked to pause
	ending    bool  // CloseWrite was called
	closed    bool  // Close was
	aborted   bool  // Abort was
	late      bool  // it was, because the rest could not be sent in time
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

// Close closes the connection and returns at once: what was written is sent by the
// loop, within two minutes, and what was received and not read is dropped. Calls that
// wait return net.ErrClosed. See WaitClosed for the end of it, and Abort.
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

// Abort closes the connection at once: what was written and not yet sent is dropped.
// It may follow Close, to end the sending to a peer that does not read.
func (c *Conn) Abort() {
	c.abort(false)
	_ = c.Close() // again, mostly
}

func (c *Conn) abort(late bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.aborted, c.late = true, late
	c.ask()
}

// WaitClosed waits until the connection is closed on both ends' account: after Close,
// until the peer's kernel has all that was written. It returns why the connection
// was lost, nil after an end in order, transport.ErrCloseTimeout where the peer did not
// take it in time; or ctx's error.
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

// CloseWrite sends the end of the stream after all that was written; reading goes on.
// It returns at once. Writes then fail with EPIPE.
//
// Errors: transport.ErrNoHalfClose with TLS; net.ErrClosed; what ended the connection.
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

// LocalAddr returns the address of this end, also when the connection is gone.
func (c *Conn) LocalAddr() net.Addr { return addr(c.local, c.network) }

// RemoteAddr returns the address of the peer, also when the connection is gone.
func (c *Conn) RemoteAddr() net.Addr { return addr(c.remote, c.network) }

// addr is a, or one without a name where a is not known.
func addr(a net.Addr, network string) net.Addr {
	switch {
	case a != nil:
		return a
	case network == "unix":
		return &net.UnixAddr{Net: network}
	}
	return &net.TCPAddr{}
}

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (c *Conn) SetDeadline(t time.Time) error {
	return c.setDeadlines(t, &c.reader, &c.writer)
}

// SetReadDeadline has Read, also one that waits, and WriteTo fail with
// os.ErrDeadlineExceeded from t on; the zero time means never. Error: net.ErrClosed.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadlines(t, &c.reader) }

// SetWriteDeadline is SetReadDeadline for Write and ReadFrom. What was accepted before
// is sent all the same; Write says how much that was.
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

// ask has serve called on the loop's goroutine. mu is held.
func (c *Conn) ask() {
	if !c.asked {
		c.asked = true
		c.hub.ask(c)
	}
}

// fault is the error of an operation.
func (c *Conn) fault(op string, err error) error {
	return &net.OpError{Op: op, Net: c.network, Source: c.local, Addr: c.remote, Err: err}
}

// broken is why a connection that is lost cannot be used. mu is held.
func (c *Conn) broken(call string) error {
	switch {
	case c.err != nil:
		return inner(c.err)
	case c.eof: // the peer's end was ours as well, as with TLS
		return errno(call, syscall.ECONNRESET)
	}
	return net.ErrClosed
}

// unusable says why nobody may begin to read or write. mu is held.
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

// end is that of the connection. The first reason stays.
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
