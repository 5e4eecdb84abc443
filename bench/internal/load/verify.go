package load

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/sluice-net/sluice/bench/internal/contest"
)

// ErrMismatch is what every Mismatch is, by errors.Is.
var ErrMismatch = errors.New("load: bytes differ from those that were due")

// A Mismatch is the error of Run where other bytes came than were due, or more of
// them: something was lost, sent twice, in the wrong order, changed, or another's.
type Mismatch struct {
	Conn   int    // the connection, the first that was made being 0
	Offset int64  // of the first wrong byte, in the stream that came
	What   string // came
}

// Error implements error.
func (m *Mismatch) Error() string {
	return fmt.Sprintf("%v: connection %d, byte %d of what came: %s",
		ErrMismatch, m.Conn, m.Offset, m.What)
}

// Is makes ErrMismatch of it.
func (m *Mismatch) Is(target error) bool { return target == ErrMismatch }

// By how many bytes of the pattern the stream of each connection begins behind that
// of the one before, so that what comes on the wrong connection differs from what
// was due there. Of messages it is odd, for their sizes not to make up for it; of a
// file it is a page, for pages to stay whole.
const (
	originStep = 61
	pageSize   = 4 << 10
)

// origin is where in the pattern the streams of connection i begin. Where the server
// makes or compares them they all begin alike.
func (o Options) origin(i int) int64 {
	switch o.Kind {
	case Echo, Churn:
		return int64(i) * originStep
	case Relay:
		return int64(i) * pageSize
	}
	return 0
}

// Where a Download or a Relay is not compared in full, a window of it is, again
// and again, and the kernel throws away what is between two windows. A window costs
// a system call and a copy of so few bytes that the load stays cheaper than the
// server; and as the pattern is of one piece, a window tells that something is
// missing, or too much, anywhere before it.
const (
	windowSize = 4 << 10
	gapMax     = 256 << 10
)

// compare returns an error unless data is what is due next on c.
func (c *conn) compare(data []byte) error {
	due := contest.Pattern(c.origin+c.received, len(data))
	if string(data) == string(due) {
		return nil
	}
	at := 0
	for data[at] == due[at] {
		at++
	}
	return &Mismatch{c.index, c.received + int64(at),
		fmt.Sprintf("%#02x, due was %#02x", data[at], due[at])}
}

// excess is the error where more has come on c than end bytes.
func (c *conn) excess(end int64) error {
	return &Mismatch{c.index, end, "nothing was due any more"}
}

// discard receives what nobody needs, and compares it or, unless the slice
// verifies, a part of it. whole says that all was taken that had been asked for, so
// that there may be more.
func (p *Pool) discard(c *conn) (n int, whole bool, err error) {
	if p.slice.Verify {
		n, err = c.recv(p.buf, 0)
		if err == nil {
			err = c.compare(p.buf[:n])
		}
		return n, n == len(p.buf), err
	}
	if c.gap == 0 {
		if n, err = c.recv(p.buf[:windowSize], 0); n == 0 {
			return 0, false, err
		}
		c.gap = p.drawGap()
		if err = c.compare(p.buf[:n]); err != nil || n < windowSize {
			return n, false, err
		}
	}
	want := min(c.gap, len(p.buf))
	more, err := c.recv(p.buf[:want], unix.MSG_TRUNC)
	c.gap -= more
	return n + more, more == want, err
}

// drawGap returns how far the next window is, so that windows come to lie anywhere
// in a message.
func (p *Pool) drawGap() int {
	p.random = p.random*6364136223846793005 + 1442695040888963407 // Knuth's MMIX
	return 1 + int(p.random>>33)%gapMax
}

// ByPort returns the connection that was made from a port, -1 if none is known.
func (p *Pool) ByPort(port int) int {
	for i := range p.conns {
		name, err := unix.Getsockname(p.conns[i].fd)
		if at, ok := name.(*unix.SockaddrInet4); err == nil && ok && at.Port == port {
			return i
		}
	}
	return -1
}
