package stream

import (
	"errors"
	"io"
	"net"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// MessageConn is a connection on a loop that preserves message boundaries and implements
// [net.Conn]. Dial and Listener.Accept return it for network "unixpacket".
//
// Each Read receives one message, copies it as far as it fits, and drops the rest. Each
// Write sends one; an empty one sends nothing, because the peer would take it for the
// end. Otherwise it is like a Conn: Write returns when the message has been accepted, and
// waits while more is buffered than the transport's high mark; reading pauses while many
// messages are unread; reads take turns, and so do writes; and errors are the same.
type MessageConn struct {
	connected

	// mu guards what follows.

	in, out packets
	spare   []packet // for the list of out
	longest int      // the longest message that the transport has accepted
}

var _ net.Conn = (*MessageConn)(nil)

func newMessageConn(h *hub, network string) *MessageConn {
	c := &MessageConn{}
	c.init(h, network, c)
	return c
}

// Read waits for a message and returns how many of its bytes were copied to p. After the
// peer's last message it returns io.EOF or the error that ended the connection. A message
// that is longer than the loop's buffers for receiving, usually 64 KiB, ends the
// connection with a *transport.TruncatedError.
func (c *MessageConn) Read(p []byte) (int, error) {
	if err := c.hub.lock(&c.readMu); err != nil {
		return 0, c.fault("read", err)
	}
	defer c.readMu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		err := c.unusable(&c.reader)
		switch {
		case err != nil:
		case len(p) == 0:
			return 0, nil
		case c.in.count() > 0:
			n, _ := c.in.pop(p)
			if c.stopped && c.in.load() <= packetsAhead/2 {
				c.ask()
			}
			return n, nil
		case c.eof:
			return 0, io.EOF
		case c.state == lost:
			err = c.broken("read")
		default:
			err = c.wait(&c.reader)
		}
		if err != nil {
			return 0, c.fault("read", err)
		}
	}
}

// Write sends p, which is copied, as one message. Error, besides those of a Conn:
// EMSGSIZE if the socket's send buffer has no room for a message of that length. To know
// that, Write waits for a round of the loop if no message as long has been sent before;
// deadlines and Close do not end that wait.
func (c *MessageConn) Write(p []byte) (int, error) {
	if err := c.hub.lock(&c.writeMu); err != nil {
		return 0, c.fault("write", err)
	}
	defer c.writeMu.Unlock()
	known, err := c.put(p)
	if err == nil && !known {
		err = c.writeNow(p)
	}
	if err != nil {
		return 0, c.fault("write", inner(err))
	}
	return len(p), nil
}

// put waits for room and queues a message, unless it is not known whether the transport
// accepts one that long.
func (c *MessageConn) put(p []byte) (known bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		err := c.writable()
		switch {
		case err != nil:
			return false, err
		case len(p) == 0:
			return true, nil
		case c.full || c.out.load() >= packetsBehind:
			if err := c.wait(&c.writer); err != nil {
				return false, err
			}
		case len(p) > c.longest:
			return false, nil
		default:
			c.out.push(p, transport.Addr{})
			c.ask()
			return true, nil
		}
	}
}

// writeNow writes a message on the loop's goroutine, after everything written before, and
// waits until the transport has accepted or refused it.
func (c *MessageConn) writeNow(p []byte) (err error) {
	failed := c.hub.call(func() {
		c.mu.Lock()
		if err = c.writable(); err != nil {
			c.mu.Unlock()
			return
		}
		out := c.out
		c.out = packets{}
		c.mu.Unlock()
		c.send(&out)
		switch _, err = c.transport.Write(p); {
		case err == nil:
			c.mu.Lock()
			c.longest = max(c.longest, len(p))
			c.mu.Unlock()
		case errors.Is(err, transport.ErrClosed):
			err = nil // ConnectionLost is about to say why
		}
	})
	if failed == loop.ErrLoopClosed {
		return failed
	}
	return err
}

// Close closes the connection and returns at once, like that of a Conn. Error:
// net.ErrClosed when called again.
func (c *MessageConn) Close() error { return c.close() }

// CloseWrite ends the output to the peer after all messages that were written; reading
// goes on. It returns at once. Later writes fail with EPIPE. Errors: net.ErrClosed; the
// error that ended the connection.
func (c *MessageConn) CloseWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closeWrite()
}

// closing implements kind.
func (c *MessageConn) closing() { c.in.drop() }

// ended implements kind. What was received can still be read.
func (c *MessageConn) ended() {
	c.connected.ended()
	c.out.drop()
}

// work implements kind.
func (c *MessageConn) work() {
	c.mu.Lock()
	if c.state != open {
		c.mu.Unlock()
		return
	}
	todo := c.requests(c.in.load() <= packetsAhead/2)
	var out packets
	if todo.flush {
		out, c.out, c.spare = c.out, packets{list: c.spare}, nil
	}
	c.mu.Unlock()

	if todo.aborted {
		out.drop()
		c.transport.Abort()
		return
	}
	c.send(&out)
	c.mu.Lock()
	c.spare = out.list[:0]
	c.mu.Unlock()
	c.carryOut(todo)
}

// send passes messages to the transport. An error means that the connection is closing;
// ConnectionLost reports why.
func (c *MessageConn) send(out *packets) {
	for _, data := range out.each {
		_, _ = c.transport.Write(data)
	}
	clear(out.list)
	out.bytes.drop()
}

// messageWire is a MessageConn as its transport sees it: the protocol. Its methods run on
// the loop's goroutine.
type messageWire MessageConn

var _ protocol.Protocol = (*messageWire)(nil)

func (w *messageWire) conn() *MessageConn { return (*MessageConn)(w) }

// ConnectionMade implements protocol.Protocol.
func (w *messageWire) ConnectionMade(t transport.Transport) { w.conn().made(t) }

// DataReceived keeps a message.
func (w *messageWire) DataReceived(data []byte) {
	c := w.conn()
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.in.push(data, transport.Addr{})
	c.received(c.in.load() > packetsAhead)
}

// EOFReceived keeps the connection open for writing.
func (w *messageWire) EOFReceived() (keepOpen bool) {
	c := w.conn()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.eof = true
	c.reader.wake()
	return true
}

// PauseWriting makes writers wait.
func (w *messageWire) PauseWriting() { w.conn().pauseWriting() }

// ResumeWriting lets writers go on.
func (w *messageWire) ResumeWriting() { w.conn().resumeWriting() }

// ConnectionLost ends all waiting calls.
func (w *messageWire) ConnectionLost(err error) { w.conn().connectionLost(err) }
