package stream

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/sluice-net/sluice/loop"
)

// ReadFrom implements io.ReaderFrom: it writes everything that r has, up to its end. A
// regular *os.File, also one in an *io.LimitedReader, is sent with loop.Loop.Sendfile:
// without TLS its bytes never enter the process. Its file position moves to the end of
// what was sent.
func (c *Conn) ReadFrom(r io.Reader) (int64, error) {
	n, err := c.sendFile(r)
	if err != nil {
		return n, err
	}
	rest, err := io.Copy(writerOnly{c}, r) // usually only the end of file is left
	return n + rest, err
}

// writerOnly hides ReadFrom.
type writerOnly struct{ io.Writer }

// sendFile sends the file that r reads; it sends nothing if r is not a file that can be
// sent.
func (c *Conn) sendFile(r io.Reader) (int64, error) {
	limited, _ := r.(*io.LimitedReader)
	count := int64(-1)
	if limited != nil {
		r, count = limited.R, max(limited.N, 0)
	}
	f, ok := r.(*os.File)
	if !ok || count == 0 {
		return 0, nil
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return 0, nil
	}
	offset, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, nil
	}
	n, err := c.sendRange(f, offset, count)
	if limited != nil {
		limited.N -= n
	}
	if _, e := f.Seek(offset+n, io.SeekStart); err == nil {
		err = e
	}
	return n, err
}

// A sending is one call to sendRange.
type sending struct {
	n    int64
	err  error
	done bool
}

// sendRange sends a part of a file, after everything written before.
func (c *Conn) sendRange(f *os.File, offset, count int64) (int64, error) {
	if err := c.hub.lock(&c.writeMu); err != nil {
		return 0, c.fault("sendfile", err)
	}
	defer c.writeMu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.writable()
	switch {
	case err != nil:
	case c.hub.onLoop():
		err = loop.ErrOnLoop
	case c.upgrading != nil:
		err = ErrUpgrading
	}
	if err != nil {
		return 0, c.fault("sendfile", err)
	}
	s := &sending{}
	c.hub.loop.CallSoonThreadsafe(func() { c.beginFile(ctx, s, f, offset, count) })
	for !s.done && c.state != lost {
		switch {
		case err != nil:
			c.writer.park() // until the loop has released the file
		case c.ending || c.unusable(&c.writer) != nil:
			err = c.writable()
			cancel()
		default:
			c.writer.wait()
		}
	}
	if err == nil {
		err = s.err
	}
	if !s.done {
		err = c.broken("sendfile")
	}
	if err != nil {
		return s.n, c.fault("sendfile", inner(err))
	}
	return s.n, nil
}

// beginFile makes the loop send a file after everything that was written. It runs on the
// loop's goroutine.
func (c *Conn) beginFile(ctx context.Context, s *sending, f *os.File, offset, count int64) {
	c.mu.Lock()
	if c.state != open {
		c.mu.Unlock()
		return
	}
	out := c.out.take()
	c.mu.Unlock()
	c.send(&out)
	c.hub.loop.SendfileFunc(ctx, c.transport, f, offset, count, func(n int64, err error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if errors.Is(err, context.Canceled) {
			err = nil // whoever cancelled it knows why
		}
		s.n, s.err, s.done = n, err, true
		c.writer.wake()
	})
}
