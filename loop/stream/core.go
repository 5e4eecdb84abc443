package stream

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/transport"
)

// A state is a stage in the life of a connection.
//
//	fresh --ConnectionMade--> open --ConnectionLost | the loop is closed--> lost
//
// Close and what the kinds add to it, such as CloseWrite and StartTLS, are requests, which
// the loop carries out.
type state uint8

const (
	fresh state = iota
	open
	lost
)

// A kind is what a connection adds to the core that it embeds. The core calls no other
// methods of it.
type kind interface {
	member

	// work passes on what was written, and carries out the requests. The loop's
	// goroutine.
	work()

	// closing is part of Close: it drops what was received but not read. mu is held.
	closing()

	// ended drops what will never be sent, and ends the kind's own waiting. mu is held,
	// and the state is lost.
	ended()
}

// core is what all connections of this package have in common, whatever their transport:
// their life and their errors, the goroutines that wait to read and to write, deadlines,
// and the way onto the loop's goroutine. A kind embeds it and does the reading and
// writing.
type core[T transport.ReadTransport] struct {
	hub     *hub
	self    kind
	network string
	done    chan struct{} // closed when the connection is lost

	local, remote net.Addr

	readMu  sync.Mutex // held by the goroutine that reads
	writeMu sync.Mutex // held by the goroutine that writes

	mu             sync.Mutex // guards what follows, and the fields of the kind
	state          state
	err            error // why it was lost
	reader, writer half
	asked          bool // on the hub's list
	stopped        bool // reading is paused
	full           bool // the transport asked to pause
	closed         bool // Close was called

	transport T // the loop's goroutine
}

func (c *core[T]) init(h *hub, network string, self kind) {
	c.hub, c.network, c.self, c.done = h, network, self, make(chan struct{})
	c.reader.mu, c.writer.mu = &c.mu, &c.mu
}

// opened takes the transport, in ConnectionMade.
func (c *core[T]) opened(t T) {
	c.mu.Lock()
	c.transport, c.state = t, open
	c.local, c.remote = transport.SockName(t), transport.PeerName(t)
	c.mu.Unlock()
	c.hub.join(c.self)
}

// close requests the end. Error: net.ErrClosed when called again.
func (c *core[T]) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.fault("close", net.ErrClosed)
	}
	c.closed = true
	c.self.closing()
	c.reader.stop()
	c.writer.stop()
	c.ask()
	return nil
}

// WaitClosed waits until the connection is completely closed: after Close, until
// everything that was written has been sent. For a stream that means that the peer's
// kernel has it. WaitClosed returns the error that ended the connection, nil if it ended
// in an orderly way, transport.ErrCloseTimeout if a peer did not take the data in time,
// or ctx's error.
func (c *core[T]) WaitClosed(ctx context.Context) error {
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

// end handles the end of the connection. The first reason is kept.
func (c *core[T]) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == lost {
		return
	}
	c.state, c.err = lost, err
	if errors.Is(err, net.ErrClosed) {
		c.err = net.ErrClosed
	}
	c.self.ended()
	c.reader.stop()
	c.writer.stop()
	close(c.done)
}

// connectionLost ends all waiting calls.
func (c *core[T]) connectionLost(err error) {
	var none T
	c.end(err)
	c.hub.leave(c.self)
	c.transport = none
}

// loopClosed implements member: the loop was closed, and has closed the descriptor.
func (c *core[T]) loopClosed() { c.end(loop.ErrLoopClosed) }

// LocalAddr returns the address of this end, even after the connection is gone.
func (c *core[T]) LocalAddr() net.Addr { return addr(c.local, c.network) }

// addr returns a, or an address without a name if a is nil.
func addr(a net.Addr, network string) net.Addr {
	switch {
	case a != nil:
		return a
	case strings.HasPrefix(network, "unix"):
		return &net.UnixAddr{Net: network}
	case strings.HasPrefix(network, "udp"):
		return &net.UDPAddr{}
	}
	return &net.TCPAddr{}
}

// SetDeadline calls both SetReadDeadline and SetWriteDeadline.
func (c *core[T]) SetDeadline(t time.Time) error {
	return c.setDeadlines(t, &c.reader, &c.writer)
}

// SetReadDeadline makes calls that read, including those that are already waiting, fail
// with os.ErrDeadlineExceeded from t on; the zero time means never. Error: net.ErrClosed.
func (c *core[T]) SetReadDeadline(t time.Time) error { return c.setDeadlines(t, &c.reader) }

// SetWriteDeadline is SetReadDeadline for calls that write. Data that was accepted before
// is still sent; Write returns how much that was.
func (c *core[T]) SetWriteDeadline(t time.Time) error { return c.setDeadlines(t, &c.writer) }

func (c *core[T]) setDeadlines(t time.Time, halves ...*half) error {
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

// SyscallConn returns access to the descriptor, for setting its options. The functions
// passed to it are called on the loop's goroutine, where the descriptor cannot be closed
// meanwhile, and must not block. Those passed to Read and Write are called once only,
// because the loop itself does the waiting; if they report that they are not done, the
// error is EAGAIN.
func (c *core[T]) SyscallConn() (syscall.RawConn, error) {
	return rawConn{c.hub, func() transport.BaseTransport { return c.transport }}, nil
}

// fault returns the error of an operation.
func (c *core[T]) fault(op string, err error) error { return c.faultAt(op, c.remote, err) }

// faultAt returns the error of an operation that concerns the address at.
func (c *core[T]) faultAt(op string, at net.Addr, err error) error {
	return &net.OpError{Op: op, Net: c.network, Source: c.local, Addr: at, Err: err}
}

// unusable returns the reason why no read or write may begin or go on, or nil. What was
// received can still be read when the connection is lost. mu is held.
func (c *core[T]) unusable(h *half) error {
	switch {
	case c.closed:
		return net.ErrClosed
	case h.expired():
		return os.ErrDeadlineExceeded
	}
	return nil
}

// whyLost returns the reason why a lost connection cannot be used. mu is held.
func (c *core[T]) whyLost() error {
	if c.err != nil {
		return inner(c.err)
	}
	return net.ErrClosed
}
