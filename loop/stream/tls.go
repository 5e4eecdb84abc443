package stream

import (
	"context"
	"crypto/tls"
	"net"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/transport"
)

// StartTLS switches an open connection to TLS, as the server if Accept returned the
// connection and as the client otherwise, and returns when the handshake is over. A
// client's Config needs a ServerName or InsecureSkipVerify; it is not copied. What was
// written before is sent in the clear, before the handshake. What was received but not
// read is taken as the beginning of the peer's handshake, so that nothing received in the
// clear is mistaken for encrypted data. A bufio.Reader on the connection must be empty by
// then.
//
// Reads and writes wait until StartTLS has returned; the caller must make sure that none
// is in progress when it is called. From then on the end of the peer's stream closes the
// connection, and CloseWrite is not available.
//
// Errors: those of loop.Loop.StartTLS, in a *net.OpError; the connection is closed if the
// handshake had begun. ErrUpgrading if another StartTLS is in progress.
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

// ConnectionState returns the TLS state after the handshake, and false if the connection
// has no TLS.
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

// upgrade hands the connection over to TLS. It runs on the loop's goroutine.
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

// beginSecure takes what was received, which is treated as TLS.
func (c *Conn) beginSecure() (prefix []byte, before *tls.ConnectionState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	prefix = make([]byte, c.in.size)
	c.in.read(prefix)
	before, c.secure = c.secure, &tls.ConnectionState{}
	return prefix, before
}

// upgraded takes the connection back after the handshake.
func (c *Conn) upgraded(t transport.Transport) {
	c.mu.Lock()
	defer c.mu.Unlock()
	state, _ := transport.TLSState(t)
	c.transport, c.secure, c.upgrading = t, &state, nil
	c.stopped, c.full = false, t.WritePaused()
}

// notUpgraded ends a failed attempt. If the handshake had not begun, the connection goes
// on as before; otherwise it is closing or lost.
func (c *Conn) notUpgraded(prefix []byte, before *tls.ConnectionState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.upgrading = nil
	if c.state == open && !c.transport.IsClosing() {
		c.secure = before
		c.in.write(prefix)
	}
}
