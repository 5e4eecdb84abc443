package loop

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"time"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/filecopy"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/tlsio"
	"github.com/sluice-net/sluice/transport"
)

// Sendfile sends count bytes of f, starting at offset, over t, a transport of this loop.
// They follow what was written to t before and precede what is written afterwards.
// Sendfile returns how many bytes the kernel took: fewer than count, without an error, if
// the file ends earlier. A count of -1 means up to the current end of the file.
//
// f must be a regular file and stay open; its file position is neither used nor moved. If
// its reported size is 0, as for files in /proc, nothing is sent. A file that is not in
// memory is read by another goroutine first, so that the loop does not wait for the disk.
// The bytes of the file do not count as buffered, because WriteBufferSize and the water
// marks are about memory. What is written meanwhile queues behind the file and does
// count.
//
// Close still sends the file to its end; Abort or an error stops it. When ctx ends,
// sending stops, the count returned is exactly the number of bytes sent by then, and t
// goes on with what was written after the file. A peer that expects the whole file has to
// be told, usually by closing the connection.
//
// Over TCP and Unix sockets, Sendfile uses sendfile(2). Over TLS, blocks of at most 256
// KiB are read by another goroutine and encrypted; the current block counts as buffered,
// and Sendfile returns the number of bytes encrypted. If the high mark is lower than 512
// KiB, the blocks are half of it, but not less than 16 KiB.
//
// Any other transport, for example the user's own, is known only by its methods, so
// Sendfile can promise less. It writes copies of 256 KiB each, the next one when the
// transport has no more than its low mark buffered, which it checks every few
// milliseconds. Other writes to the transport come in between, Close ends the copy with
// transport.ErrClosed, and bytes are counted when the transport has accepted them.
//
// Sendfile may be called from any goroutine except the loop's.
//
// Errors: ErrBadRange for a negative offset, or a negative count except -1;
// ErrNotRegular, in a *fs.PathError, for a pipe, a device or a directory; os.ErrClosed
// for a closed file; ErrOtherLoop; ErrTLSBelow; errors.ErrUnsupported for a pipe;
// transport.ErrClosed if t is already closing or is aborted; transport.ErrEOFWritten; the
// error that ended the connection or the reading of the file, a *net.OpError or
// *fs.PathError; ctx's error; ErrOnLoop.
func (l *Loop) Sendfile(ctx context.Context, t transport.WriteTransport, f *os.File,
	offset, count int64) (int64, error) {
	return block(ctx, l, func(done func(int64, error)) {
		l.SendfileFunc(ctx, t, f, offset, count, done)
	})
}

// SendfileFunc is Sendfile for the loop's goroutine: done is called on it, once and
// before ConnectionLost. If sending cannot begin, done is called before SendfileFunc
// returns.
func (l *Loop) SendfileFunc(ctx context.Context, t transport.WriteTransport, f *os.File,
	offset, count int64, done func(int64, error)) {
	l.check()
	from, left, err := l.openRange(f, offset, count)
	if err == nil {
		err = l.takesFiles(t)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		done(0, err)
		return
	}
	part := filecopy.Part{From: from, Offset: offset, Left: left, Done: done}
	switch t := t.(type) {
	case *fdio.Stream:
		l.sendDirectly(ctx, t, &fdio.File{From: from, Offset: offset, Left: left, Done: done})
	case *tlsio.Transport:
		filecopy.Encrypt(ctx, (*host)(l), t, part)
	default:
		l.copies.Begin(ctx, t, part)
	}
}

// takesFiles returns an error if a file cannot be sent over t.
func (l *Loop) takesFiles(t transport.WriteTransport) error {
	ours := true
	switch t := t.(type) {
	case nil:
		return transport.ErrClosed
	case *fdio.Stream:
		ours = t.On((*host)(l))
	case *fdio.SeqPacket:
		return fmt.Errorf("loop: Sendfile over a socket of messages: %w", errors.ErrUnsupported)
	case *tlsio.Transport:
		ours = t.On((*host)(l))
	}
	if !ours {
		return ErrOtherLoop
	}
	if _, below := tlsio.Over(t.Protocol()); below {
		return ErrTLSBelow
	}
	return nil
}

// openRange checks the arguments and returns the file and how many bytes of it there are
// to send.
func (l *Loop) openRange(f *os.File, offset, count int64) (proactor.File, int64, error) {
	if offset < 0 || count < -1 {
		return proactor.File{}, 0, ErrBadRange
	}
	enough := int64(math.MaxInt64)
	if count >= 0 && count <= math.MaxInt64-offset {
		enough = offset + count
	}
	stat, err := l.engine.StatFile(f, enough)
	if err == nil && !stat.Regular {
		err = ErrNotRegular
	}
	if err != nil {
		return proactor.File{}, 0, sendfileError(f, err)
	}
	left := max(stat.Size-offset, 0)
	if count >= 0 {
		left = min(left, count)
	}
	return stat.File, left, nil
}

// sendfileError adds to err which file it is about.
func sendfileError(f *os.File, err error) error {
	if f == nil {
		return err
	}
	if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
		return err
	}
	return &fs.PathError{Op: "sendfile", Path: f.Name(), Err: err}
}

// sendDirectly makes the transport send the file.
func (l *Loop) sendDirectly(ctx context.Context, s *fdio.Stream, f *fdio.File) {
	if ctx.Done() != nil {
		done := f.Done
		stop := l.whenDone(ctx, func() { s.CancelFile(f, context.Cause(ctx)) })
		f.Done = func(n int64, err error) {
			stop()
			done(n, err)
		}
	}
	if err := s.SendFile(f); err != nil {
		f.Done(0, err)
	}
}

// offLoop runs f, which may block, on another goroutine, and then done on the loop's. A
// simulated loop has no other goroutine: there f runs on the loop's, a little later.
func (l *Loop) offLoop(f func() error, done func(error)) {
	if l.kind == sim {
		l.CallLater(time.Millisecond, func() { done(f()) })
		return
	}
	l.RunInExecutor(f, done)
}
