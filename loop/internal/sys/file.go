package sys

import (
	"io"
	"os"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"golang.org/x/sys/unix"
)

// sendfile is the call of TrySendfile that is under way. The method value is
// kept, because making one for each call would allocate.
type sendfile struct {
	to     int
	offset int64
	size   int
	n      int
	err    error
	call   func(from uintptr)
}

// TrySendfile sends what the socket takes of a file, with sendfile(2). The
// scheduler is told of the call, which copies much and may have to read a disk.
func (k *Kernel) TrySendfile(fd int, from proactor.File, offset int64, n int) (int, error) {
	s := &k.sendfile
	if s.call == nil {
		s.call = k.sendFrom
	}
	s.to, s.offset, s.size, s.n, s.err = fd, offset, n, 0, nil
	if err := from.Conn.Control(s.call); err != nil {
		return 0, os.ErrClosed
	}
	switch {
	case s.err == syscall.EAGAIN:
		return 0, nil
	case s.err != nil:
		return 0, os.NewSyscallError("sendfile", s.err)
	case s.n == 0:
		return 0, io.EOF
	}
	return s.n, nil
}

// sendFrom makes the call. The position is passed, so the file's own is neither
// used nor moved.
func (k *Kernel) sendFrom(from uintptr) {
	s := &k.sendfile
	for {
		k.Calls++
		s.n, s.err = unix.Sendfile(s.to, int(from), &s.offset, s.size)
		if s.err != syscall.EINTR {
			return
		}
	}
}

// Cached asks whether the first and the last byte can be read without waiting:
// RWF_NOWAIT (Linux 4.14, preadv2(2)). File systems that do not know, tmpfs among
// them, are asked with cachestat(2) (Linux 6.5). Nobody's answer counts as no.
func (k *Kernel) Cached(from proactor.File, offset int64, n int) bool {
	cached := false
	err := from.Conn.Control(func(fd uintptr) {
		k.Calls++
		first, err := readNow(int(fd), offset)
		if err == unix.EOPNOTSUPP {
			cached = inCache(int(fd), offset, n)
			return
		}
		cached = first && err == nil
		if cached && n > 1 {
			k.Calls++
			cached, err = readNow(int(fd), offset+int64(n)-1)
			cached = cached && err == nil
		}
	})
	return cached || err != nil // of a closed file: the send will tell
}

// readNow reads one byte, or the end of the file, without waiting.
func readNow(fd int, offset int64) (bool, error) {
	var b [1]byte
	_, err := unix.Preadv2(fd, [][]byte{b[:]}, offset, unix.RWF_NOWAIT)
	if err == unix.EOPNOTSUPP {
		return false, err
	}
	return err == nil, nil
}

// inCache counts the pages of a range that are in the page cache.
func inCache(fd int, offset int64, n int) bool {
	page := int64(os.Getpagesize())
	first, last := offset/page, (offset+int64(n)-1)/page
	var have unix.Cachestat_t
	err := unix.Cachestat(uint(fd),
		&unix.CachestatRange{Off: uint64(offset), Len: uint64(n)}, &have, 0)
	return err == nil && int64(have.Cache) >= last-first+1
}
