package fdio

import (
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// What the kinds whose data has boundaries share: datagrams and messages.

// received is the data of one completion: a datagram or message, or several datagrams
// from one sender.
type received struct {
	data    []byte
	addr    transport.Addr
	segment int // the size of each but the last; 0: it is one
	size    int // of all of it, more than there is data where that was truncated
}

// messages are what the endpoint's operations have besides.
type messages struct{ in, out proactor.Message }

// of makes e receive and send messages.
func (m *messages) of(e *endpoint) {
	e.recv.Code, e.send.Code = proactor.RecvMsg, proactor.SendMsg
	e.recv.Message, e.send.Message = &m.in, &m.out
}

// receivedMessage handles a completion of the receive. What arrives after the end is
// dropped.
func (e *endpoint) receivedMessage() {
	op, about, more := &e.recv, e.recv.Message, e.recv.More
	e.pub.received(op)
	a := arrival{res: op.Res, received: received{
		data: op.Data, addr: about.Addr, segment: about.Segment, size: about.Size}}
	switch {
	case e.state != Open || e.eof || op.Res == ecanceled:
	case e.holds():
		e.touch()
		e.hold(a)
	default:
		e.touch()
		e.self.deliver(a)
		e.guard.Poison(a.data)
	}
	if !more {
		e.self.arm()
	}
}

// submitMessage sends the first message of q as an operation, which waits for room. It is
// lazy if its completion changes nothing but a count.
func (e *endpoint) submitMessage(q *packets) {
	first := &q.waiting()[0]
	e.send.Bufs, e.send.Message.Addr = append(e.send.Bufs[:0], first.Data), first.Addr
	e.awaited = false
	e.send.Lazy = e.state == Open && !e.eofAsked && !e.flow.Paused() && q.count() == 1
	e.pub.sending(e.send.Bufs)
	e.engine.Submit(&e.send)
}

// sentMessage is called when that operation has completed.
func (e *endpoint) sentMessage() {
	clear(e.send.Bufs)
	e.pub.page.Sent(e.pub.slot)
}

// sendBatch offers what waits in q to the kernel, as much as one call takes, and returns
// how many messages were taken. full says that there was no room for the next, errno why
// that cannot be sent.
func (e *endpoint) sendBatch(q *packets) (n int, full bool, errno syscall.Errno) {
	batch := q.waiting()
	batch = batch[:min(len(batch), proactor.BatchMax)]
	n, err := e.engine.TrySendMany(e.recv.FD, batch)
	return n, n < len(batch) && err == nil, errnoOf(err)
}
