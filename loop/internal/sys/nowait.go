package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What is no socket has no MSG_DONTWAIT. Its mode is the open file's, so whoever shares
// that can make it blocking, and so can the user of a listener. Pipes can be told for
// each call (RWF_NOWAIT, Linux 6.4 for pipes). For the rest the mode is looked at first.
// What remains is that somebody changes it between two system calls and, in the same
// moment, takes what there was to be had: then the call waits for the next.

// StayNonblocking makes fd non-blocking where it is not any more.
func StayNonblocking(fd int) {
	flags, _, e := unix.RawSyscall(unix.SYS_FCNTL, uintptr(fd), unix.F_GETFL, 0)
	if e == 0 && flags&unix.O_NONBLOCK == 0 {
		unix.RawSyscall(unix.SYS_FCNTL, uintptr(fd), unix.F_SETFL, flags|unix.O_NONBLOCK)
	}
}

// here is the position of preadv2(2) that is the file's own, in two halves.
const here = ^uintptr(0)

// ReadNow reads from what is no socket what there is right now. plain says that
// RWF_NOWAIT is not to be had for it, as the last call found out.
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

// WriteNow writes to what is no socket what it takes right now.
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

// lacksNowait reports whether e says that the file, the kernel or a sandbox does not
// know RWF_NOWAIT.
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
