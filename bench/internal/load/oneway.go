package load

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/sluice-net/sluice/bench/internal/contest"
)

const block = contest.BlockSize

// errNoRing says that a kind of load that always uses epoll was given a ring.
var errNoRing = errors.New("load: what goes one way does not use io_uring")

// An uploader sends blocks as fast as they go, some on each connection that can
// take more, in turn. It sends from a file in memory with sendfile, which
// copies nothing and so costs less than the server's read.
//
// What the server has taken is known from outside. Not more than window is
// under way, so that the end of a slice is near when its time is up.
type uploader struct {
	*Pool
	fd     uintptr // of the file that it sends from
	window int64
	sent   int64 // bytes on all connections, ever
	origin int64 // of them, in earlier slices
	begun  int   // connections in the middle of a piece
}

// uploadPiece is how much of a stream is sent at once: in pieces of one block the
// load manages an eighth less.
const uploadPiece = 4 * block

// The first piece of an upload on each connection is longer than on the one before:
// the server takes all streams to begin alike, and pieces that come on the wrong
// connection shall differ from what was due there.
const (
	uploadSkew  = pageSize
	uploadSkews = block / uploadSkew
)

const (
	uploadWindowMin  = 4 << 20
	uploadWindowEach = uploadPiece
)

func newUploader(p *Pool) *uploader {
	window := max(uploadWindowMin, int64(p.opts.Conns)*uploadWindowEach)
	return &uploader{Pool: p, fd: p.file.Fd(), window: window}
}

func (u *uploader) start(int64) { u.origin = u.sent }

func (u *uploader) pace(int64) {}

func (u *uploader) arrived(*conn, []byte) error { return errNoRing }

// ready writes some blocks, or the rest of them. When the time is up, only what
// was begun is finished.
func (u *uploader) ready(c *conn, events uint32) error {
	if events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		return errClosed
	}
	if c.owed == 0 {
		if !u.mayStart(u.now()) || u.sent-u.opts.Received() >= u.window {
			return nil
		}
		c.owed = uploadPiece
		if c.sent == 0 && u.opts.Kind == Upload {
			c.owed += c.index % uploadSkews * uploadSkew
		}
		u.begun++
	}
	n, err := c.sendFile(u.fd, (c.origin+c.sent)%contest.Period, c.owed)
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
	if more := u.opts.Received() - u.sent; more > 0 {
		u.check(fmt.Errorf("%w: %d bytes more than were sent", ErrMismatch, more))
	}
	u.out.Bytes = u.sent - u.origin
	u.out.Messages = u.out.Bytes / block
	return true
}

// A relayer is an uploader to a proxy, and the server behind it, which drops what
// it gets.
type relayer struct {
	uploader
	taken int64 // bytes that came out of the proxy
}

func newRelayer(p *Pool) *relayer {
	r := &relayer{uploader: *newUploader(p)}
	p.opts.Received = func() int64 { return r.taken }
	return r
}

func (r *relayer) ready(c *conn, events uint32) error {
	if c.index < r.opts.Conns {
		return r.uploader.ready(c, events)
	}
	n, _, err := r.discard(c)
	r.taken += int64(n)
	c.received += int64(n)
	r.worked = r.worked || n > 0
	if sent := r.conns[c.index-r.opts.Conns].sent; err == nil && c.received > sent {
		return c.excess(sent)
	}
	return err
}

// A downloader takes messages as fast as they come. The server sends one for
// each byte of credit that it gets; a connection's credit is renewed when half
// of it is used up, so that it is flow control that limits the server.
//
// Unless it verifies, it has the kernel throw most bytes away without a copy
// (MSG_TRUNC), which costs less than the server's write.
type downloader struct {
	*Pool
	size     int64 // of a message
	window   int64 // bytes of credit that a connection has
	underway int64 // bytes granted and not received
	credit   []byte
}

const (
	creditAll = 256 // blocks over all connections, but for each
	creditMin = 8   // at least this
	creditMax = 64  // and at most this

	creditLeast = 2 // messages, however long they are
)

func newDownloader(p *Pool) *downloader {
	blocks := min(max(creditAll/len(p.conns), creditMin), creditMax)
	messages := p.opts.Depth
	if messages == 0 {
		messages = max(blocks*block/p.opts.Size, creditLeast)
	}
	return &downloader{Pool: p, size: int64(p.opts.Size),
		window: int64(messages * p.opts.Size), credit: make([]byte, messages)}
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
	messages := (d.window - (c.sent - c.received)) / d.size
	if messages == 0 {
		return nil
	}
	n, err := c.send(d.credit[:messages])
	c.sent += int64(n) * d.size
	d.underway += int64(n) * d.size
	return err
}

func (d *downloader) ready(c *conn, events uint32) error {
	if events&^unix.EPOLLOUT == 0 {
		return nil
	}
	for {
		n, whole, err := d.discard(c)
		if n == 0 || err != nil {
			return err
		}
		d.worked = true
		before := c.received / d.size
		if c.received += int64(n); c.received > c.sent {
			return c.excess(c.sent)
		}
		d.underway -= int64(n)
		d.out.Bytes += int64(n)
		d.out.Messages += c.received/d.size - before
		if c.sent-c.received <= d.window/2 && d.mayStart(d.now()) {
			if err := d.grant(c); err != nil {
				return err
			}
		}
		if !whole {
			return nil
		}
	}
}
