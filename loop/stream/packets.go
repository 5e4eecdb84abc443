package stream

import (
	"errors"
	"net"
	"syscall"

	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// A packet is a waiting datagram.
type packet struct {
	size int
	addr transport.Addr
}

// packets are waiting datagrams, in order: their bytes are in one queue, their sizes and
// addresses in a list beside it.
type packets struct {
	bytes queue
	list  []packet
	first int // index in list of the first one still there
}

// load returns the number of bytes that count towards the limits.
func (q *packets) load() int { return q.bytes.size + overhead*q.count() }

func (q *packets) count() int { return len(q.list) - q.first }

// push appends a copy of a datagram; its bytes lie in one chunk.
func (q *packets) push(b []byte, addr transport.Addr) {
	if len(b) > 0 {
		q.bytes.writeWhole(b)
	}
	q.list = append(q.list, packet{len(b), addr})
}

// pop moves the beginning of the first datagram to b and drops the rest of it.
func (q *packets) pop(b []byte) (int, transport.Addr) {
	p := q.list[q.first]
	q.list[q.first] = packet{}
	q.first++
	switch {
	case q.first == len(q.list):
		q.list, q.first = q.list[:0], 0
	case q.first >= 64 && q.first > len(q.list)/2:
		n := copy(q.list, q.list[q.first:])
		clear(q.list[n:])
		q.list, q.first = q.list[:n], 0
	}
	n := 0
	if p.size > 0 {
		n = copy(b, q.bytes.head.bytes()[:p.size])
		q.bytes.skip(p.size)
	}
	return n, p.addr
}

// each yields the datagrams of a list that nothing was popped from, without their
// addresses. It moves past their bytes, which are then only good for drop.
func (q *packets) each(yield func(i int, data []byte) bool) {
	k := q.bytes.head
	for i, d := range q.list {
		var data []byte
		if d.size > 0 {
			for k.end-k.start < d.size {
				k = k.next
			}
			data = k.buf[k.start : k.start+d.size]
			k.start += d.size
		}
		if !yield(i, data) {
			return
		}
	}
}

// drop forgets all of them.
func (q *packets) drop() {
	q.bytes.drop()
	q.list, q.first = nil, 0
}

// readFrom waits for a datagram.
func (p *PacketConn) readFrom(b []byte) (int, transport.Addr, error) {
	if err := p.hub.lock(&p.readMu); err != nil {
		return 0, transport.Addr{}, p.fault("read", err)
	}
	defer p.readMu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		err := p.unusable(&p.reader)
		if err == nil && p.in.count() > 0 {
			n, from := p.in.pop(b)
			if p.stopped && p.in.load() <= packetsAhead/2 {
				p.ask()
			}
			return n, from, nil
		}
		if err == nil {
			err, p.readErr = p.readErr, nil
		}
		if err == nil {
			err = p.wait(&p.reader)
		}
		if err != nil {
			return 0, transport.Addr{}, p.fault("read", err)
		}
	}
}

// writeTo queues a datagram. Errors name to, or an address made from addr if to is nil.
func (p *PacketConn) writeTo(b []byte, addr transport.Addr, to net.Addr) (int, error) {
	err := p.sendable(b, addr)
	if err == nil {
		err = p.hub.lock(&p.writeMu)
	}
	if err == nil {
		defer p.writeMu.Unlock()
		err = p.push(b, addr)
	}
	if err == nil {
		return len(b), nil
	}
	if to == nil {
		to = net.UDPAddrFromAddrPort(addr.AddrPort)
	}
	var late *net.OpError
	if errors.As(err, &late) { // an error of an earlier datagram
		return 0, p.faultAt("write", late.Addr, late.Err)
	}
	return 0, p.faultAt("write", to, err)
}

// udpMax is the largest payload of a UDP datagram over IPv6; over IPv4 it is 20 bytes
// less.
const udpMax = 1<<16 - 1 - 8

// sendable returns the reason why a datagram can never be sent, or nil.
func (p *PacketConn) sendable(b []byte, addr transport.Addr) error {
	switch ip := addr.Addr().Unmap(); {
	case p.unix:
		return nil
	case !addr.IsValid():
		return &net.AddrError{Err: "invalid address", Addr: addr.String()}
	case p.onlyV4 && !ip.Is4():
		return &net.AddrError{Err: "non-IPv4 address", Addr: ip.String()}
	case len(b) > udpMax || ip.Is4() && len(b) > udpMax-20:
		return errno("sendto", syscall.EMSGSIZE)
	}
	return nil
}

// push waits for room and queues a datagram.
func (p *PacketConn) push(b []byte, addr transport.Addr) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		err := p.unusable(&p.writer)
		if err == nil {
			err, p.writeErr = p.writeErr, nil
		}
		switch {
		case err != nil:
			return err
		case !p.full && p.out.load() < packetsBehind:
			p.out.push(b, addr)
			p.ask()
			return nil
		}
		if err := p.wait(&p.writer); err != nil {
			return err
		}
	}
}

// endpoint is an endpoint as its transport sees it: the protocol. Its methods run on
// the loop's goroutine.
type endpoint PacketConn

var _ protocol.DatagramProtocol = (*endpoint)(nil)

// ConnectionMade implements protocol.DatagramProtocol.
func (e *endpoint) ConnectionMade(t transport.DatagramTransport) {
	p := (*PacketConn)(e)
	p.mu.Lock()
	switch a := transport.SockName(t).(type) {
	case *net.UnixAddr:
		p.unix = true
	case *net.UDPAddr:
		p.onlyV4 = a.AddrPort().Addr().Is4()
	}
	p.mu.Unlock()
	p.opened(t)
}

// DatagramReceived keeps a datagram.
func (e *endpoint) DatagramReceived(data []byte, from transport.Addr) {
	p := (*PacketConn)(e)
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.in.push(data, from)
	p.received(p.in.load() > packetsAhead)
}

// ErrorReceived keeps an error for the next read or write. A datagram that was too long
// for the loop's buffer is truncated, like one that is too long for the reader's.
func (e *endpoint) ErrorReceived(err error) {
	p := (*PacketConn)(e)
	var cut *transport.TruncatedError
	if errors.As(err, &cut) {
		e.DatagramReceived(cut.Data, cut.Addr)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "read" {
		p.readErr = op.Err
		p.reader.wake()
		return
	}
	p.writeErr = err
}

// PauseWriting makes writers wait.
func (e *endpoint) PauseWriting() { (*PacketConn)(e).pauseWriting() }

// ResumeWriting lets writers go on.
func (e *endpoint) ResumeWriting() { (*PacketConn)(e).resumeWriting() }

// ConnectionLost ends all waiting calls.
func (e *endpoint) ConnectionLost(err error) { (*PacketConn)(e).connectionLost(err) }

// work implements kind.
func (p *PacketConn) work() {
	p.mu.Lock()
	if p.state != open {
		p.mu.Unlock()
		return
	}
	resume := p.resumes(p.in.load() <= packetsAhead/2)
	closed := p.closed
	var out packets
	if !p.full || closed {
		out, p.out, p.spare = p.out, packets{list: p.spare}, nil
	}
	p.mu.Unlock()

	p.send(&out)
	if resume {
		p.transport.ResumeReading()
	}
	if closed {
		p.transport.Close()
		return
	}
	p.mu.Lock()
	p.spare = out.list[:0]
	p.sent()
}

// send passes datagrams to the transport. An error for one of them is kept for the next
// write, and the others are sent.
func (p *PacketConn) send(out *packets) {
	if out.count() == 0 {
		return
	}
	p.batch = p.batch[:0]
	for i, data := range out.each {
		p.batch = append(p.batch, transport.Datagram{Data: data, Addr: out.list[i].addr})
	}
	for rest := p.batch; len(rest) > 0; {
		n, err := p.transport.(transport.BatchSender).SendBatch(rest)
		if err == nil {
			break
		}
		p.mu.Lock()
		p.writeErr = err
		p.mu.Unlock()
		rest = rest[n+1:]
	}
	clear(p.batch)
	clear(out.list)
	out.bytes.drop()
}
