package protocol

import "github.com/sluice-net/sluice/transport"

// Buffered returns p as a Protocol, for a Factory and for the methods of the loop
// that take one. Transports see through it: they receive directly into what
// GetBuffer returns. Buffered(nil) is nil.
func Buffered(p BufferedProtocol) Protocol {
	if p == nil {
		return nil
	}
	return &buffered{p}
}

// AsBuffered returns the BufferedProtocol inside p: the one that was passed to
// Buffered, or p itself if it has the callbacks of a BufferedProtocol and not those
// of a Protocol. A type that has both, for example by embedding, counts as the
// Protocol that it is.
func AsBuffered(p transport.BaseProtocol) (BufferedProtocol, bool) {
	switch p := p.(type) {
	case *buffered:
		return p.BufferedProtocol, true
	case Protocol:
		return nil, false
	case BufferedProtocol:
		return p, true
	}
	return nil, false
}

// Feed passes data to p by copying it into the buffers that p offers, as a
// transport does with bytes that it already holds. It stops with ErrEmptyBuffer at
// an empty buffer. n is the number of bytes passed.
func Feed(p BufferedProtocol, data []byte) (n int, err error) {
	for n < len(data) {
		buf := p.GetBuffer(len(data) - n)
		if len(buf) == 0 {
			return n, ErrEmptyBuffer
		}
		filled := copy(buf, data[n:])
		p.BufferUpdated(filled)
		n += filled
	}
	return n, nil
}

// buffered adapts a BufferedProtocol to Protocol.
type buffered struct{ BufferedProtocol }

// DataReceived serves callers that do not know AsBuffered. It panics with
// ErrEmptyBuffer where a transport would end the connection.
func (b *buffered) DataReceived(data []byte) {
	if _, err := Feed(b.BufferedProtocol, data); err != nil {
		panic(err)
	}
}
