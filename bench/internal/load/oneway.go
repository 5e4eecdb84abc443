package load

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/sluice-net/sluice/bench/internal/contest"
)

const block = contest.BlockSize

// errNoRing says that a kind of load that always uses epoll was given a ring.
var errNoRing = errors.New("load: what goes one way does not use io_uring")

// An uploader sends blocks as fast as they go, one on each connection that can
// take more, in turn. It sends from a file in memory with sendfile, which
// copies nothing and so costs less than the server's read.
//
// What the server has taken is known from outside. Not more than window is
// under way, so that the end of a slice is near when its time is up.
type uploader struct {
	*Pool
	window int64
	sent   int64 // bytes on all connections, ever
	origin int64 // of them, in earlier slices
	begun  int   // connections in the middle of a block
}

const (
	uploadWindowMin  = 4 << 20
	uploadWindowEach = 4 * block
)

func newUploader(p *Pool) *uploader {
	window := max(uploadWindowMin, int64(len(p.conns))*uploadWindowEach)
	return &uploader{Pool: p, window: window}
}

func (u *uploader) start(int64) { u.origin = u.sent }

func (u *uploader) pace(int64) {}

func (u *uploader) arrived(*conn, []byte) error { return errNoRing }

// ready writes one block, or the rest of one. When the time is up, only what
// was begun is finished.
func (u *uploader) ready(c *conn, events uint32) error {
	if events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		return errClosed
	}
	if c.owed == 0 {
		if !u.mayStart(u.now()) || u.sent-u.opts.Received() >= u.window {
			return nil
		}
		c.owed = block
		u.begun++
	}
	n, err := c.sendFile(u.file, c.sent%contest.Period, c.owed)
	c.sent += int64(n)
	c.owed -= n
	u.sent += int64(n)
	u.worked = u.worked || n > 0
	if c.owed == 0 {
		u.begun--
	}
	return err
}

// finished reports whether the server has taken all; what it has, is counted.
func (u *uploader) finished(now int64) bool {
	if u.mayStart(now) || u.begun > 0 || u.opts.Received() < u.sent {
		return false
	}
	u.out.Bytes = u.sent - u.origin
	u.out.Messages = u.out.Bytes / block
	return true
}

// A downloader takes blocks as fast as they come. The server sends one for
// each byte of credit that it gets; a connection's credit is renewed when half
// of it is used up, so that it is flow control that limits the server.
//
// Unless it verifies, it has the kernel throw the bytes away without a copy
// (MSG_TRUNC), which costs less than the server's write.
type downloader struct {
	*Pool
	window   int64 // bytes of credit that a connection has
	underway int64 // bytes granted and not received
	credit   []byte
}

const (
	creditAll = 256 // blocks over all connections, but for each
	creditMin = 8   // at least this
	creditMax = 64  // and at most this
)

func newDownloader(p *Pool) *downloader {
	blocks := min(max(creditAll/len(p.conns), creditMin), creditMax)
	return &downloader{Pool: p, window: int64(blocks) * block, credit: make([]byte, blocks)}
}

func (d *downloader) start(int64) {
	for i := range d.conns {
		d.check(d.grant(&d.conns[i]))
	}
}

func (d *downloader) pace(int64) {}

func (d *downloader) arrived(*conn, []byte) error { return errNoRing }

func (d *downloader) finished(now int64) bool { return d.underway == 0 && !d.mayStart(now) }

// grant fills the connection's credit up. In a downloader, sent counts bytes
// granted.
func (d *downloader) grant(c *conn) error {
	blocks := (d.window - (c.sent - c.received)) / block
	if blocks == 0 {
		return nil
	}
	n, err := c.send(d.credit[:blocks])
	c.sent += int64(n) * block
	d.underway += int64(n) * block
	return err
}

func (d *downloader) ready(c *conn, events uint32) error {
	if events&^unix.EPOLLOUT == 0 {
		return nil
	}
	for {
		n, err := d.receive(c)
		if n == 0 {
			return err
		}
		d.worked = true
		before := c.received / block
		c.received += int64(n)
		d.underway -= int64(n)
		d.out.Bytes += int64(n)
		d.out.Messages += c.received/block - before
		if c.sent-c.received <= d.window/2 && d.mayStart(d.now()) {
			if err := d.grant(c); err != nil {
				return err
			}
		}
		if n < len(d.buf) {
			return nil
		}
	}
}

func (d *downloader) receive(c *conn) (n int, err error) {
	if !d.slice.Verify {
		return c.recv(d.buf, unix.MSG_TRUNC)
	}
	n, err = c.recv(d.buf, 0)
	if n > 0 && !same(d.buf[:n], c.received) {
		return 0, ErrMismatch
	}
	return n, err
}
