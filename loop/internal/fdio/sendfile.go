package fdio

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// File is a part of a file to be sent. It is used once.
//
//	queued --its turn--> sending --all of it, its end, an error--> ended
//	                     sending --not in memory--> prefetching --read--> sending
//	any --CancelFile, or the stream is lost--> ended
type File struct {
	From   proactor.File // what is sent
	Offset int64         // of what is left
	Left   int64         // bytes

	// Done is called on the loop's goroutine once, when the file has ended: with the
	// number of bytes that the kernel took, and the reason if it was not all of them.
	Done func(sent int64, err error)

	direct      direct // its place in the output
	sent        int64
	err         error
	cached      int64 // up to there the file is believed to be in memory
	prefetching bool
}

// How much of a file is checked for being in memory, and how much is read from disk if
// necessary, before it is sent.
const (
	lookSize     = 4 << 20
	prefetchSize = 1 << 20
)

// SendFile queues f. Its bytes take no memory and do not count as buffered.
//
// Errors: transport.ErrEOFWritten, transport.ErrClosed; errors.ErrUnsupported for a
// one-way stream, as in asyncio.
func (s *Stream) SendFile(f *File) error {
	s.host.Check()
	switch {
	case s.pipe != nil:
		return fmt.Errorf("sendfile over a pipe: %w", errors.ErrUnsupported)
	case s.eofAsked:
		return transport.ErrEOFWritten
	case s.state > Open:
		return transport.ErrClosed
	}
	f.direct.file = f
	s.out.add(chunk{direct: &f.direct, release: func() { s.fileEnded(f) }},
		s.host.Chunks())
	s.markDirty()
	return nil
}

// CancelFile ends f with err if it has not ended. The part already sent stays sent; what
// was written after the file is sent.
func (s *Stream) CancelFile(f *File, err error) {
	for i := s.out.head; i < len(s.out.chunks); i++ {
		c := &s.out.chunks[i]
		if c.direct == nil || c.direct.file != f || c.release == nil {
			continue
		}
		f.err, f.Left = err, 0
		s.guard.Releases = append(s.guard.Releases, c.release)
		c.release = nil
		s.schedule()
	}
}

// fileEnded calls Done, like a release function.
func (s *Stream) fileEnded(f *File) {
	if f.Left > 0 && f.err == nil {
		f.err = s.whyLost()
	}
	f.Done(f.sent, f.err)
}

// sendFile sends some of f, which is the first chunk.
func (s *Stream) sendFile(f *File, budget int) (outcome, int) {
	switch {
	case f.Left == 0:
		s.popDirect()
		return outGone, 0
	case f.prefetching || f.Offset >= f.cached && !s.prefetched(f):
		return outPrefetches, 0
	}
	want := int(min(int64(min(budget, directStep)), f.Left, f.cached-f.Offset))
	s.needExtras().sentFile = true
	n, err := s.engine.TrySendfile(s.recv.FD, f.From, f.Offset, want)
	if err != nil {
		s.fileFailed(f, err)
		return outGone, 0
	}
	if n > 0 {
		s.touch()
		s.pub.slot.Wrote(n)
	}
	f.sent, f.Offset, f.Left = f.sent+int64(n), f.Offset+int64(n), f.Left-int64(n)
	switch {
	case f.Left == 0:
		s.popDirect()
		return outGone, n
	case n < want:
		return outFull, n
	}
	return outGone, n
}

// hidReset reports whether the connection was reset in the middle of sendfile(2), which
// returns what it had sent by then and drops the error that the socket reported to it.
// Afterwards neither a receive nor a send reports the reset: they get an end of file and
// EPIPE.
func (s *Stream) hidReset() bool {
	return s.extras != nil && s.extras.sentFile && s.closedByPeer()
}

// closedByPeer reports whether a TCP connection that has ended in neither direction, as far
// as has been told, is closed nevertheless.
func (s *Stream) closedByPeer() bool {
	if s.eofSent || s.eof {
		return false
	}
	if _, tcp := s.local.(*net.TCPAddr); !tcp {
		return false
	}
	state, err := s.engine.GetOption(s.recv.FD, proactor.TCPState)
	return err == nil && state == proactor.TCPClosed
}

// prefetched reports whether the next part of f is in memory. If not, it makes the host
// read it.
func (s *Stream) prefetched(f *File) bool {
	for _, size := range [...]int64{lookSize, prefetchSize} {
		n := min(f.Left, size)
		if s.engine.Cached(f.From, f.Offset, int(n)) {
			f.cached = f.Offset + n
			return true
		}
	}
	f.prefetching = true
	n := int(min(f.Left, prefetchSize))
	end := f.Offset + int64(n)
	s.host.Prefetch(f.From, f.Offset, n, func() {
		f.prefetching, f.cached = false, end
		if s.state < Lost {
			s.goOn()
		}
	})
	return false
}

// fileFailed ends f if the error is the file's, and the stream otherwise.
func (s *Stream) fileFailed(f *File, err error) {
	errno := errnoOf(err)
	switch {
	case err == io.EOF: // the file has become shorter
	case errors.Is(err, os.ErrClosed):
		f.err = err
	case isFileErrno(errno):
		f.err = s.endpoint.opError("write", "sendfile", errno)
	default:
		s.writeFailed("sendfile", errno)
		return
	}
	f.Left = 0
	s.popDirect()
}

// isFileErrno reports whether an error of sendfile(2) is about the file, not the
// connection. Nothing was sent then.
func isFileErrno(errno syscall.Errno) bool {
	switch errno {
	case syscall.EIO, syscall.EINVAL, syscall.EACCES, syscall.EPERM, syscall.EISDIR,
		syscall.EOVERFLOW, syscall.ESPIPE, syscall.ENOMEM, syscall.ESTALE:
		return true
	}
	return false
}
