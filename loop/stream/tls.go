package stream

import (
	"context"
	"crypto/tls"
	"net"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/transport"
)

// StartTLS goes on with TLS on an open connection, as the server if Accept returned
// it, else as the client, and returns when the handshake is over. A client's Config
// needs a ServerName or InsecureSkipVerify; it is not copied. What was written before
// is sent in the clear, before the handshake, and what was received and not read is
// taken to be the beginning of the peer's: so nothing that came in the clear is taken
// for what was encrypted. A bufio.Reader must be empty by then.
//
// Reads and writes wait for it; those that go on at the time are the caller's to
// avoid. From then on the peer's end of the stream closes the connection, and
// CloseWrite is not to be had.
//
// Errors: those of loop.Loop.StartTLS, in a *net.OpError; the connection is closed
// if it had begun. ErrUpgrading while another StartTLS goes on.
func (c *Conn) StartTLS(ctx context.Context, cfg *tls.Config) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := c.beginUpgrade(cancel); err != nil {
		return c.fault("handshake", err)
	}
	result := make(chan error, 1)
	c.hub.loop.CallSoonThreadsafe(func() { c.upgrade(ctx, cfg, result) })
	select {
	case err := <-result:
		if err == nil {
			return nil
		}
		c.mu.Lock()
		if c.closed {
			err = net.ErrClosed
		}
		c.mu.Unlock()
		return c.fault("handshake", inner(err))
	case <-c.hub.gone:
		return c.fault("handshake", loop.ErrLoopClosed)
	}
}

// ConnectionState returns the state of TLS as it was after the handshake, and false
// without TLS.
func (c *Conn) ConnectionState() (tls.ConnectionState, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.secure == nil {
		return tls.ConnectionState{}, false
	}
	return *c.secure, true
}

// beginUpgrade checks that TLS can be started, and keeps others from doing so.
func (c *Conn) beginUpgrade(cancel context.CancelFunc) error {
	if c.hub.onLoop() {
		return loop.ErrOnLoop
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return net.ErrClosed
	case c.upgrading != nil:
		return ErrUpgrading
	case c.state == lost:
		return c.broken("handshake")
	}
	c.upgrading = cancel
	return nil
}

// upgrade hands the connection over, on the loop's goroutine.
func (c *Conn) upgrade(ctx context.Context, cfg *tls.Config, result chan<- error) {
	c.mu.Lock()
	if c.state == lost {
		err := c.broken("handshake")
		c.upgrading = nil
		c.mu.Unlock()
		result <- err
		return
	}
	out := c.out.take()
	c.mu.Unlock()
	c.send(&out)

	prefix, before := c.beginSecure()
	c.hub.loop.StartTLSFunc(ctx, c.transport, (*wire)(c), cfg,
		&loop.TLSOptions{ServerSide: c.server, Prefix: prefix},
		func(t transport.Transport, err error) {
			if err == nil {
				c.upgraded(t)
			} else {
				c.notUpgraded(prefix, before)
			}
			c.work()
			result <- err
		})
}

// beginSecure takes what was received, which is TLS.
func (c *Conn) beginSecure() (prefix []byte, before *tls.ConnectionState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	prefix = make([]byte, c.in.size)
	c.in.read(prefix)
	before, c.secure = c.secure, &tls.ConnectionState{}
	return prefix, before
}

// upgraded takes the connection after the handshake.
func (c *Conn) upgraded(t transport.Transport) {
	c.mu.Lock()
	defer c.mu.Unlock()
	state, _ := transport.TLSState(t)
	c.transport, c.secure, c.upgrading = t, &state, nil
	c.stopped, c.full = false, t.WritePaused()
}

// notUpgraded ends an attempt. Where that has not even begun the connection goes on as
// it was; otherwise it is closing or lost.
func (c *Conn) notUpgraded(prefix []byte, before *tls.ConnectionState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.upgrading = nil
	if c.state == open && !c.transport.IsClosing() {
		c.secure = before
		c.in.write(prefix)
	}
}
