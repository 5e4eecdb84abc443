package stream

import (
	"net"
	"syscall"
	"time"

	"github.com/sluice-net/sluice/transport"
)

// lingerMax limits how long a closed connection may take to send the rest to a peer that
// reads slowly or not at all. The kernel gives its orphaned connections about the same
// time (tcp_orphan_retries, tcp(7)).
const lingerMax = 2 * time.Minute

// connected is what connections with a peer add to the core, whether they carry bytes or
// messages: the two ends of each stream, and what becomes of the rest after Close.
type connected struct {
	core[transport.Transport]
	onOpen func() // tells the listener, or nil

	// mu guards what follows.

	eof     bool // the peer has ended its stream
	ending  bool // CloseWrite was called
	aborted bool // Abort was called
	late    bool // aborted, because the rest was not sent in time
	linger  *time.Timer
}

// RemoteAddr returns the address of the peer, even after the connection is gone.
func (c *connected) RemoteAddr() net.Addr { return addr(c.remote, c.network) }

// Abort closes the connection at once: what was written but not yet sent is dropped. It
// may be called after Close, to stop sending to a peer that does not read.
func (c *connected) Abort() {
	c.abort(false)
	_ = c.close() // usually for the second time
}

func (c *connected) abort(late bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.aborted, c.late = true, late
	c.ask()
}

// closeWrite requests the end of the output. mu is held.
func (c *connected) closeWrite() error {
	switch {
	case c.closed:
		return c.fault("close", net.ErrClosed)
	case c.state == lost:
		return c.fault("close", c.broken("shutdown"))
	}
	c.ending = true
	c.writer.wake()
	c.ask()
	return nil
}

// made takes the transport, in ConnectionMade.
func (c *connected) made(t transport.Transport) {
	c.opened(t)
	if c.onOpen != nil {
		c.onOpen()
	}
}

// ended implements kind.
func (c *connected) ended() {
	if c.late && c.err == nil {
		c.err = transport.ErrCloseTimeout
	}
	if c.linger != nil {
		c.linger.Stop()
	}
}

// writable returns the reason why nothing may be written, or nil. mu is held.
func (c *connected) writable() error {
	if err := c.unusable(&c.writer); err != nil {
		return err
	}
	switch {
	case c.ending:
		return errno("write", syscall.EPIPE)
	case c.state == lost:
		return c.broken("write")
	}
	return nil
}

// broken returns the reason why a lost connection cannot be used. mu is held.
func (c *connected) broken(call string) error {
	if c.err == nil && c.eof { // the peer's end of the stream ended ours as well, as with TLS
		return errno(call, syscall.ECONNRESET)
	}
	return c.whyLost()
}

// requests are what the loop has to do for a connection besides sending.
type requests struct {
	flush                           bool // what was written may be passed on
	resume, ending, aborted, closed bool
}

// requests returns what there is to do; little says that little is left to read. mu is
// held.
func (c *connected) requests(little bool) requests {
	return requests{resume: c.resumes(little), closed: c.closed, ending: c.ending,
		aborted: c.aborted, flush: !c.full || c.closed || c.ending}
}

// carryOut does what was requested, after what was written has been passed on.
func (c *connected) carryOut(r requests) {
	if r.resume {
		c.transport.ResumeReading()
	}
	if r.ending {
		_ = c.transport.WriteEOF() // ConnectionLost reports what is wrong with the connection
	}
	if r.closed {
		c.closeTransport()
		return
	}
	c.mu.Lock()
	c.sent()
}

// closeTransport limits the time that the transport may take to send the rest.
func (c *connected) closeTransport() {
	rest := c.transport.WriteBufferSize()
	c.transport.Close()
	if rest == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.linger == nil {
		c.linger = time.AfterFunc(lingerMax, func() { c.abort(true) })
	}
}
