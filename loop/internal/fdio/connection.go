package fdio

import (
	"github.com/sluice-net/sluice/loop/internal/guard"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// connection is what connected transports add to an endpoint, whether their peer sends
// bytes or messages: a protocol that may be a BufferedProtocol, and an output that can be
// ended by itself.
type connection struct {
	endpoint
	lent    []byte // what GetBuffer returned, until BufferUpdated
	lentFor uint32 // the epoch in which it was lent
	epoch   uint32 // counts SetProtocol
}

// Start implements Transport.
func (c *connection) Start() {
	c.move(Open)
	c.watchIdle()
	if err := c.guard.ConnectionMade(c.self.(transport.Transport)); err != nil {
		c.fail(err)
	}
	c.self.arm()
}

// SetProtocol implements transport.BaseTransport.
func (c *connection) SetProtocol(p transport.BaseProtocol) error {
	c.host.Check()
	if err := guard.CheckProtocol(p); err != nil {
		return err
	}
	if c.state == Closed {
		return transport.ErrClosed
	}
	c.guard.Adopt(p)
	c.epoch++
	return nil
}

// lend asks the protocol for a buffer, unless the transport already has one of the
// protocol's. It reports whether there is a buffer and it may be used now: inside
// GetBuffer the protocol may have paused, closed, or been replaced by another.
func (c *connection) lend(hint int) bool {
	for c.lent == nil || c.lentFor != c.epoch {
		epoch := c.epoch
		buf := c.guard.GetBuffer(hint)
		if c.state != Open || c.paused && c.epoch != epoch {
			return false
		}
		if c.epoch != epoch {
			if !c.guard.Buffered() {
				c.schedule()
				return false
			}
			continue
		}
		if len(buf) == 0 {
			c.emptyBuffer()
			return false
		}
		c.lent, c.lentFor = buf, epoch
	}
	return c.readable()
}

// emptyBuffer ends the transport because GetBuffer has returned none.
func (c *connection) emptyBuffer() {
	c.guard.Report("Fatal error: protocol.get_buffer() call failed.", protocol.ErrEmptyBuffer)
	c.fail(protocol.ErrEmptyBuffer)
}

// tellEOF tells the protocol, which decides whether the output stays open.
func (c *connection) tellEOF() {
	if keepOpen := c.guard.EOFReceived(); !keepOpen && c.state == Open {
		c.Close()
	}
}

// WriteEOF implements transport.WriteTransport: it ends the output once all that was
// written has been sent. The error is that of sendEOF if it is called now.
func (c *connection) WriteEOF() error {
	c.host.Check()
	if c.state > Open || c.eofAsked {
		return nil
	}
	c.eofAsked = true
	c.pub.slot.EOFWritten()
	if c.self.drained() {
		return c.sendEOF()
	}
	c.awaitSend()
	return nil
}

// CanWriteEOF implements transport.WriteTransport.
func (c *connection) CanWriteEOF() bool { return true }

// forget implements kind.
func (c *connection) forget() { c.lent = nil }
