package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// MSG_DONTWAIT exists only for sockets. Whether a call on another file waits depends on
// the mode of the open file, and anybody who shares that file can make it blocking; so can
// the user of a listener. For pipes, each call can ask not to wait (RWF_NOWAIT, Linux 6.4
// for pipes). For everything else the mode is checked before the call. One case remains:
// somebody else changes the mode between the two system calls and, at the same moment,
// takes the data or room that the call would have used. Then the call waits.

// StayNonblocking makes fd non-blocking again if somebody has made it blocking.
func StayNonblocking(fd int) {
	flags, _, e := unix.RawSyscall(unix.SYS_FCNTL, uintptr(fd), unix.F_GETFL, 0)
	if e == 0 && flags&unix.O_NONBLOCK == 0 {
		unix.RawSyscall(unix.SYS_FCNTL, uintptr(fd), unix.F_SETFL, flags|unix.O_NONBLOCK)
	}
}

// here, in both halves of preadv2(2)'s position, stands for the file's own position.
const here = ^uintptr(0)

// ReadNow reads what is available right now from a file that is not a socket. *plain
// records, from one call to the next, that RWF_NOWAIT does not work for the file.
func ReadNow(fd int, p unsafe.Pointer, size int, plain *bool) (int, syscall.Errno) {
	if !*plain {
		iov := unix.Iovec{Base: (*byte)(p)}
		iov.SetLen(size)
		n, _, e := unix.RawSyscall6(unix.SYS_PREADV2, uintptr(fd),
			uintptr(unsafe.Pointer(&iov)), 1, here, here, unix.RWF_NOWAIT)
		if *plain = lacksNowait(e); !*plain {
			return result(n, e)
		}
	}
	StayNonblocking(fd)
	return result2(unix.Syscall(unix.SYS_READ, uintptr(fd), uintptr(p), uintptr(size)))
}

// WriteNow writes as much as a file that is not a socket takes right now. *plain is as in
// ReadNow.
func WriteNow(fd int, iov []unix.Iovec, plain *bool) (int, syscall.Errno) {
	first, count := uintptr(unsafe.Pointer(unsafe.SliceData(iov))), uintptr(len(iov))
	if !*plain {
		n, _, e := unix.RawSyscall6(unix.SYS_PWRITEV2, uintptr(fd), first, count,
			here, here, unix.RWF_NOWAIT)
		if *plain = lacksNowait(e); !*plain {
			return result(n, e)
		}
	}
	StayNonblocking(fd)
	return result2(unix.Syscall(unix.SYS_WRITEV, uintptr(fd), first, count))
}

// lacksNowait reports whether e means that the file, the kernel or a sandbox does not
// support RWF_NOWAIT.
func lacksNowait(e syscall.Errno) bool {
	switch e {
	case syscall.EOPNOTSUPP, syscall.ENOSYS, syscall.EINVAL, syscall.EPERM, syscall.ESPIPE:
		return true
	}
	return false
}

func result(n uintptr, e syscall.Errno) (int, syscall.Errno) {
	if e != 0 {
		return 0, e
	}
	return int(n), 0
}

func result2(n, _ uintptr, e syscall.Errno) (int, syscall.Errno) { return result(n, e) }
