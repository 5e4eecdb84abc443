package stream

import (
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// wire is a connection as its transport sees it: the protocol. Its methods run on the
// loop's goroutine.
type wire Conn

var _ protocol.Protocol = (*wire)(nil)

func (w *wire) conn() *Conn { return (*Conn)(w) }

// ConnectionMade implements protocol.Protocol.
func (w *wire) ConnectionMade(t transport.Transport) { w.conn().made(t) }

// DataReceived gives data to a waiting Read, and keeps the rest.
func (w *wire) DataReceived(data []byte) {
	c := w.conn()
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	if c.dst != nil {
		c.direct = copy(c.dst, data)
		c.dst = nil
		data = data[c.direct:]
	}
	c.in.write(data)
	c.received(c.in.size > 2*c.limit)
}

// EOFReceived keeps a connection open for writing, unless it has TLS.
func (w *wire) EOFReceived() (keepOpen bool) {
	c := w.conn()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.eof = true
	c.reader.wake()
	return c.secure == nil
}

// PauseWriting makes writers wait.
func (w *wire) PauseWriting() { w.conn().pauseWriting() }

// ResumeWriting lets writers go on.
func (w *wire) ResumeWriting() { w.conn().resumeWriting() }

// ConnectionLost ends all waiting calls.
func (w *wire) ConnectionLost(err error) { w.conn().connectionLost(err) }

// work implements kind. While TLS is being started, output and requests wait.
func (c *Conn) work() {
	c.mu.Lock()
	if c.state != open || c.upgrading != nil {
		c.mu.Unlock()
		return
	}
	todo := c.requests(c.in.size <= c.limit)
	var out queue
	if todo.flush {
		out = c.out.take()
	}
	c.mu.Unlock()

	if todo.aborted {
		out.drop()
		c.transport.Abort()
		return
	}
	c.send(&out)
	c.carryOut(todo)
}

// ownedMin is the least number of bytes with which a chunk is lent to the transport.
// Below that, a copy is cheaper than being told when the chunk has been sent.
const ownedMin = 8 << 10

// send passes chunks to the transport. An error means that the connection is closing;
// ConnectionLost reports why.
func (c *Conn) send(out *queue) {
	for k := out.pop(); k != nil; k = out.pop() {
		owner, ok := c.transport.(transport.OwnedWriter)
		if ok && k.end-k.start >= ownedMin && owner.WriteOwned(k.bytes(), k.release) == nil {
			continue
		}
		_, _ = c.transport.Write(k.bytes())
		k.put()
	}
}
