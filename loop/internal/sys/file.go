package sys

import (
	"io"
	"os"
	"syscall"
	"unsafe"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"golang.org/x/sys/unix"
)

// fileCall is a call that is made with the descriptor of a user's file. The method
// values are kept, because making one for each call would allocate.
type fileCall struct {
	to     int
	offset int64
	size   int
	n      int
	errno  syscall.Errno
	send   func(from uintptr)
	look   func(from uintptr)
	stat   func(from uintptr)
	first  [1]byte
	iov    unix.Iovec
	info   unix.Statx_t
}

// readAround is less than what the kernel reads of a file at a time: if its end is
// cached, so is the rest, as a rule.
const readAround = 64 << 10

// StatFile implements proactor.Kernel. It is os.File.Stat without its allocations.
func (k *Kernel) StatFile(f *os.File, enough int64) (proactor.FileStat, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return proactor.FileStat{}, err
	}
	c := k.fileCall()
	ask := c.stat
	old, suffices := k.known.of(f)
	suffices = suffices && old.size >= enough
	if suffices {
		ask = nothing // only find out whether it is open
	}
	if err := raw.Control(ask); err != nil {
		return proactor.FileStat{}, os.ErrClosed
	}
	if !suffices {
		if c.errno != 0 {
			return proactor.FileStat{}, c.errno
		}
		old = knownFile{size: int64(c.info.Size),
			regular: c.info.Mode&unix.S_IFMT == unix.S_IFREG, id: proactor.FileID{
				Device: unix.Mkdev(c.info.Dev_major, c.info.Dev_minor), Inode: c.info.Ino}}
		k.known.add(f, old)
	}
	return proactor.FileStat{File: proactor.File{ReaderAt: f, Conn: raw, ID: old.id},
		Size: old.size, Regular: old.regular}, nil
}

// TrySendfile sends as much of a file as the socket takes, with sendfile(2). The call
// bypasses the scheduler, which would give away the P that this thread needs again at
// once; that costs as much as the call itself (measured, decision 0012).
func (k *Kernel) TrySendfile(fd int, from proactor.File, offset int64, n int) (int, error) {
	c := k.fileCall()
	c.to, c.offset, c.size = fd, offset, n
	StayNonblocking(fd) // sendfile(2) has no flag for it
	if err := from.Conn.Control(c.send); err != nil {
		return 0, os.ErrClosed
	}
	switch {
	case c.errno == syscall.EAGAIN:
		return 0, nil
	case c.errno != 0:
		return 0, os.NewSyscallError("sendfile", c.errno)
	case c.n == 0:
		return 0, io.EOF
	}
	return c.n, nil
}

// Cached reports whether the first and the last byte can be read without waiting:
// RWF_NOWAIT (Linux 4.14, preadv2(2)). On file systems that do not support it, such as
// tmpfs, it uses cachestat(2) (Linux 6.5). If neither answers, the result is false. A
// result of true is remembered.
func (k *Kernel) Cached(from proactor.File, offset int64, n int) bool {
	now := Monotonic()
	if k.seen.has(from.ID, offset, n, now) {
		return true
	}
	c := k.fileCall()
	c.offset, c.size = offset, n
	if err := from.Conn.Control(c.look); err != nil {
		return true // it is closed: the send will report that
	}
	if c.errno == 0 {
		k.seen.add(from.ID, offset, n, now)
	}
	return c.errno == 0
}

func (k *Kernel) fileCall() *fileCall {
	if k.file.send == nil {
		k.file.send, k.file.look, k.file.stat = k.sendFrom, k.lookAt, k.statOf
	}
	return &k.file
}

// sendFrom makes the call. The position is passed, so the file's own is neither
// used nor moved.
func (k *Kernel) sendFrom(from uintptr) {
	c := &k.file
	for {
		k.Calls++
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDFILE, uintptr(c.to), from,
			uintptr(unsafe.Pointer(&c.offset)), uintptr(c.size), 0, 0)
		c.n, c.errno = int(n), errno
		if errno != syscall.EINTR {
			return
		}
	}
}

func nothing(uintptr) {}

// noPath is an empty path: statx(2) is then about the descriptor.
var noPath [1]byte

// statOf makes the call: statx(2) (Linux 4.11), which can be limited to what the kernel
// knows, where some file systems would ask a server first. The call goes through the
// scheduler, because fstat(2), which older kernels need, cannot be limited.
func (k *Kernel) statOf(from uintptr) {
	c := &k.file
	k.Calls++
	_, _, c.errno = unix.Syscall6(unix.SYS_STATX, from, uintptr(unsafe.Pointer(&noPath)),
		unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC,
		unix.STATX_TYPE|unix.STATX_SIZE|unix.STATX_INO, uintptr(unsafe.Pointer(&c.info)), 0)
	if c.errno == syscall.ENOSYS || c.errno == syscall.EPERM {
		c.errno = k.oldStat(int(from))
	}
}

// oldStat is for kernels, and sandboxes, without statx.
func (k *Kernel) oldStat(from int) syscall.Errno {
	var stat unix.Stat_t
	k.Calls++
	if err := unix.Fstat(from, &stat); err != nil {
		return err.(syscall.Errno)
	}
	k.file.info = unix.Statx_t{Mode: uint16(stat.Mode), Size: uint64(stat.Size), Ino: stat.Ino,
		Dev_major: unix.Major(uint64(stat.Dev)), Dev_minor: unix.Minor(uint64(stat.Dev))}
	return 0
}

// lookAt leaves no error if the file is cached.
func (k *Kernel) lookAt(from uintptr) {
	c := &k.file
	last := c.offset + int64(c.size) - 1
	c.errno = k.readNow(from, last)
	if c.errno == 0 && c.size > readAround {
		c.errno = k.readNow(from, c.offset)
	}
	if c.errno == syscall.EOPNOTSUPP && inCache(from, c.offset, c.size) {
		c.errno = 0
	}
}

// readNow reads one byte, or the end of the file, without waiting.
func (k *Kernel) readNow(from uintptr, offset int64) syscall.Errno {
	c := &k.file
	c.iov.Base = &c.first[0]
	c.iov.SetLen(1)
	k.Calls++
	// The position is passed in two halves; of the second, the kernel uses only what does
	// not fit into a register of the machine.
	_, _, errno := unix.RawSyscall6(unix.SYS_PREADV2, from, uintptr(unsafe.Pointer(&c.iov)), 1,
		uintptr(offset), uintptr(offset>>32), unix.RWF_NOWAIT)
	return errno
}

// inCache counts the pages of a range that are in the page cache.
func inCache(from uintptr, offset int64, n int) bool {
	page := int64(os.Getpagesize())
	first, last := offset/page, (offset+int64(n)-1)/page
	var have unix.Cachestat_t
	err := unix.Cachestat(uint(from),
		&unix.CachestatRange{Off: uint64(offset), Len: uint64(n)}, &have, 0)
	return err == nil && int64(have.Cache) >= last-first+1
}
