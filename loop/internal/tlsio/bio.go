package tlsio

import (
	"errors"
	"io"
	"net"
	"time"

	"github.com/sluice-net/sluice/transport"
)

// bio is the in-memory connection that crypto/tls reads and writes.
type bio struct {
	t       *Transport
	in      []byte // ciphertext to read: lent by the transport below, or held
	eof     bool   // nothing follows in
	eofRead bool   // crypto/tls has seen that
	flooded bool   // more than floodMax waits below
	records records
}

var _ net.Conn = (*bio)(nil)

// wouldBlock is the error of a bio without bytes. crypto/tls passes a temporary
// net.Error on and can be called again.
type wouldBlock struct{}

// Error, Timeout and Temporary implement net.Error.
func (wouldBlock) Error() string   { return "tlsio: no more bytes for now" }
func (wouldBlock) Timeout() bool   { return false }
func (wouldBlock) Temporary() bool { return true }

var errWouldBlock error = wouldBlock{}

// floodMax bounds the ciphertext below. The application's output stays far from it,
// because it waits as plaintext; but a peer that asks for protocol responses, for
// example to key updates, and does not read them can reach it.
const floodMax = 256 << 10

// Read implements net.Conn. During the handshake it yields until there are bytes.
func (b *bio) Read(p []byte) (int, error) {
	for len(b.in) == 0 {
		switch {
		case b.eof:
			b.eofRead = true
			return 0, io.EOF
		case b.t.state == lost:
			return 0, net.ErrClosed
		case b.t.negotiation == nil:
			return 0, errWouldBlock
		case !b.t.negotiation.yield(struct{}{}):
			return 0, net.ErrClosed
		}
	}
	n := copy(p, b.in)
	b.records.give(b.in[:n])
	b.in = b.in[n:]
	return n, nil
}

// wouldWait reports whether crypto/tls would ask for bytes and get none.
func (b *bio) wouldWait() bool { return len(b.in) == 0 && b.records.none() && !b.eof }

// Write implements net.Conn. The transport below copies p and sends the output of
// one round of the loop together. If it is closed, its ConnectionLost says so.
func (b *bio) Write(p []byte) (int, error) {
	t := b.t
	if t.state >= lost {
		return 0, net.ErrClosed // a handshake that was stopped
	}
	if t.rawPaused && t.raw.WriteBufferSize() > t.inherited+floodMax {
		b.flooded = true // crypto/tls would report it only to the next Write
		return 0, transport.ErrBufferFull
	}
	_, err := t.raw.Write(p)
	if err == nil || errors.Is(err, transport.ErrClosed) ||
		errors.Is(err, transport.ErrEOFWritten) {
		return len(p), nil
	}
	return 0, err
}

// Close implements net.Conn: this is how a callback of tls.Config may end its
// handshake.
func (b *bio) Close() error {
	b.in, b.eof = nil, true
	return nil
}

// LocalAddr implements net.Conn.
func (b *bio) LocalAddr() net.Addr { return transport.SockName(b.t.raw) }

// RemoteAddr implements net.Conn.
func (b *bio) RemoteAddr() net.Addr { return transport.PeerName(b.t.raw) }

// SetDeadline implements net.Conn. Nothing here waits.
func (b *bio) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (b *bio) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (b *bio) SetWriteDeadline(time.Time) error { return nil }
