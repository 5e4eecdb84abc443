package simio

import (
	"io"
	"os"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// StatFile implements proactor.Kernel. The file is a real one.
func (e *calls) StatFile(f *os.File, _ int64) (proactor.FileStat, error) {
	info, err := f.Stat()
	if err != nil {
		return proactor.FileStat{}, err
	}
	raw, err := f.SyscallConn()
	return proactor.FileStat{File: proactor.File{ReaderAt: f, Conn: raw},
		Size: info.Size(), Regular: info.Mode().IsRegular()}, err
}

// TrySendfile implements proactor.Kernel. The file is a real one, or whatever else
// can be read at a position.
func (e *calls) TrySendfile(fd int, from proactor.File, offset int64, n int) (int, error) {
	e.call()
	defer e.mu.Unlock()
	f := e.need(fd, "TrySendfile")
	if f == nil {
		return 0, sysError("sendfile", syscall.EBADF)
	}
	e.check(n > 0 && offset >= 0, "TrySendfile of nothing, or before the beginning")
	f.checkNoSend("TrySendfile")
	sent, err := f.trySendfile(from, offset, n)
	f.record("sendfile", int64(sent))
	e.settle()
	return sent, err
}

func (f *file) trySendfile(from proactor.File, offset int64, n int) (int, error) {
	if f.stage != connected || f.kind != streamSocket {
		return 0, sysError("sendfile", syscall.ENOTCONN)
	}
	f.maybeReset(true)
	room, errno := f.writable()
	if errno != 0 {
		return 0, sysError("sendfile", errno)
	}
	n = min(n, room)
	if f.w.net.chance(f.w.faults.PartialWrite) {
		n = f.w.net.below(n + 1)
	}
	if n == 0 {
		return 0, nil
	}
	buf := make([]byte, n)
	k, err := from.ReadAt(buf, offset)
	if k == 0 {
		return 0, readError(err)
	}
	f.tx.put(buf[:k])
	return k, nil
}

// readError is what sendfile(2) makes of the error of a read.
func readError(err error) error {
	switch err {
	case nil, io.EOF:
		return io.EOF
	}
	if pathErr, ok := err.(*os.PathError); ok && pathErr.Err == os.ErrClosed {
		return os.ErrClosed
	}
	return sysError("sendfile", syscall.EIO)
}

// Cached implements proactor.Kernel: the fault Cold says no.
func (e *calls) Cached(proactor.File, int64, int) bool {
	e.call()
	defer e.mu.Unlock()
	return !e.net.chance(e.faults.Cold)
}
