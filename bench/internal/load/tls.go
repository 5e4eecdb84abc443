package load

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluice-net/sluice/bench/internal/contest"
)

// A tlsEnd is the client's end of a TLS connection whose records are moved by
// others: it is the net.Conn below crypto/tls. Only during the handshake it does
// so itself, and waits.
type tlsEnd struct {
	conn    *tls.Conn
	fd      int
	in, out []byte // records that came, and that are to be sent
	waits   bool
	plain   []byte // what a Read brought
}

// tlsPlain is the most that a record holds.
const tlsPlain = 16 << 10

// wouldBlock says that there are no records. Being temporary, it does not end the TLS
// connection.
type wouldBlock struct{}

func (wouldBlock) Error() string   { return "load: no record is there" }
func (wouldBlock) Timeout() bool   { return false }
func (wouldBlock) Temporary() bool { return true }

var errWouldBlock error = wouldBlock{}

var _ net.Error = wouldBlock{}

// newTLS makes the handshake on a connected socket.
func newTLS(fd int, plain []byte) (*tlsEnd, error) {
	e := &tlsEnd{fd: fd, waits: true, plain: plain}
	e.conn = tls.Client(e, contest.TLSClient())
	if err := e.conn.Handshake(); err != nil {
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	e.waits = false
	return e, nil
}

// seal returns the records of p, which are valid until the next call.
func (e *tlsEnd) seal(p []byte) ([]byte, error) {
	e.out = e.out[:0]
	_, err := e.conn.Write(p)
	return e.out, err
}

// open passes what is in records, and in the part of one that came before, to
// take.
func (e *tlsEnd) open(records []byte, take func(plain []byte) error) error {
	e.in = records
	for {
		n, err := e.conn.Read(e.plain)
		if n > 0 {
			if err := take(e.plain[:n]); err != nil {
				return err
			}
		}
		switch {
		case err == errWouldBlock:
			return nil
		case err == io.EOF:
			return errClosed
		case err != nil:
			return fmt.Errorf("load: %w", err)
		}
	}
}

// Read implements net.Conn.
func (e *tlsEnd) Read(p []byte) (int, error) {
	if e.waits && len(e.in) == 0 {
		if err := e.receive(); err != nil {
			return 0, err
		}
	}
	if len(e.in) == 0 {
		return 0, errWouldBlock
	}
	n := copy(p, e.in)
	e.in = e.in[n:]
	return n, nil
}

// Write implements net.Conn.
func (e *tlsEnd) Write(p []byte) (int, error) {
	if !e.waits {
		e.out = append(e.out, p...)
		return len(p), nil
	}
	for sent := 0; sent < len(p); {
		n, err := unix.SendmsgN(e.fd, p[sent:], nil, nil, unix.MSG_NOSIGNAL)
		switch {
		case err == unix.EAGAIN || err == unix.EINTR:
			if err := e.await(unix.POLLOUT); err != nil {
				return sent, err
			}
		case err != nil:
			return sent, os.NewSyscallError("send", err)
		}
		sent += max(n, 0)
	}
	return len(p), nil
}

// receive waits for bytes of the handshake.
func (e *tlsEnd) receive() error {
	if err := e.await(unix.POLLIN); err != nil {
		return err
	}
	buf := make([]byte, tlsPlain)
	n, err := unix.Read(e.fd, buf)
	switch {
	case err != nil:
		return os.NewSyscallError("read", err)
	case n == 0:
		return io.EOF
	}
	e.in = buf[:n]
	return nil
}

func (e *tlsEnd) await(events int16) error {
	fds := []unix.PollFd{{Fd: int32(e.fd), Events: events}}
	for {
		n, err := unix.Poll(fds, int(stuckAfter.Milliseconds()))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return os.NewSyscallError("poll", err)
		case n == 0:
			return ErrStuck
		default:
			return nil
		}
	}
}

// Close implements net.Conn: the socket is the pool's.
func (e *tlsEnd) Close() error { return nil }

// LocalAddr implements net.Conn; nobody asks.
func (e *tlsEnd) LocalAddr() net.Addr { return nil }

// RemoteAddr implements net.Conn; nobody asks.
func (e *tlsEnd) RemoteAddr() net.Addr { return nil }

// SetDeadline implements net.Conn: crypto/tls sets one only where it is asked to.
func (e *tlsEnd) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (e *tlsEnd) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (e *tlsEnd) SetWriteDeadline(time.Time) error { return nil }
