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

// Sendfile sends count bytes of f from offset on over t, a transport of this loop,
// after what was written before and before what is written afterwards. It returns
// how many bytes the kernel took: fewer without an error where the file ends
// earlier. A count of -1 means up to the end that the file has now.
//
// f must be a regular file and stay open; its own position is neither used nor
// moved. If it says that it is empty, as those of /proc do, nothing is sent. A file that
// is not in memory is read by another goroutine first, so that the loop does not wait for
// the disk. The bytes of the file do not count as buffered: WriteBufferSize and the water
// marks are about memory. What is written meanwhile queues behind the file and does
// count.
//
// Close sends the file to its end first; Abort or an error ends it. When ctx ends,
// sending stops with the bytes that were sent by then, which are counted exactly,
// and t goes on with what was written after the file: a peer that expects all of it
// has to be told, usually by closing.
//
// Over TCP and Unix sockets that is sendfile(2). Over TLS, blocks of at most 256 KiB
// are read by another goroutine and encrypted; the one in hand counts as buffered,
// and the bytes that are counted are those that were encrypted. Where the high mark
// is lower than 512 KiB the blocks are half of it, but not less than 16 KiB.
//
// Any other transport, for example one of the user, is only known by its methods and
// promises less: it is written copies of 256 KiB each, the next when no more than its
// low mark is buffered, for which it is asked every few milliseconds. Its own writes
// meanwhile come between those, Close ends the copy with transport.ErrClosed, and
// the bytes are counted when it has accepted them.
//
// Sendfile may be called from any goroutine except the loop's.
//
// Errors: ErrBadRange for a negative offset, or a negative count except -1;
// ErrNotRegular, in a *fs.PathError, for a pipe, a device or a directory;
// os.ErrClosed for a closed file; ErrOtherLoop; ErrTLSBelow; errors.ErrUnsupported for
// a pipe; transport.ErrClosed, when t is closing from the start or is aborted;
// transport.ErrEOFWritten; what ended the connection, or reading the file, an
// *net.OpError or *fs.PathError; ctx's; ErrOnLoop.
func (l *Loop) Sendfile(ctx context.Context, t transport.WriteTransport, f *os.File,
	offset, count int64) (int64, error) {
	return block(ctx, l, func(done func(int64, error)) {
		l.SendfileFunc(ctx, t, f, offset, count, done)
	})
}

// SendfileFunc is Sendfile for the loop's goroutine: done is called on it, once,
// before ConnectionLost, possibly before SendfileFunc returns if nothing was begun.
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

// takesFiles says whether t is one that a file may be written to.
func (l *Loop) takesFiles(t transport.WriteTransport) error {
	ours := true
	switch t := t.(type) {
	case nil:
		return transport.ErrClosed
	case *fdio.Stream:
		ours = t.On((*host)(l))
	case *fdio.SeqPacket:
		return fmt.Errorf("loop: Sendfile of messages: %w", errors.ErrUnsupported)
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

// openRange checks the arguments and returns how many bytes there are to send.
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

// sendfileError says which file err is about.
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

// offLoop runs f, which may block, on another goroutine, and then done on the
// loop's. A simulated loop has no other goroutine: there it takes a while.
func (l *Loop) offLoop(f func() error, done func(error)) {
	if l.kind == sim {
		l.CallLater(time.Millisecond, func() { done(f()) })
		return
	}
	l.RunInExecutor(f, done)
}
