package sys

import (
	"syscall"
	"unsafe"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"golang.org/x/sys/unix"
)

// sendFlags: no waiting, and an error instead of a signal when the peer is gone.
const sendFlags = unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL

// TrySend sends what the kernel takes of bufs at once, in one call, without
// allocating and without the scheduler, because the call cannot sleep on a socket.
// Anything that is not a socket is written to with WriteNow.
func (k *Kernel) TrySend(fd int, bufs [][]byte) (int, error) {
	count := FillIovecs(k.iov[:], bufs, 0)
	if count == 0 {
		return 0, nil
	}
	n, e := k.sendIovecs(fd, count)
	clear(k.iov[:count])
	if e == syscall.EAGAIN {
		return 0, nil
	}
	return n, errnoError("sendmsg", e)
}

func (k *Kernel) sendIovecs(fd, count int) (int, syscall.Errno) {
	k.msg.Iov = &k.iov[0]
	k.msg.SetIovlen(count)
	for {
		k.Calls++
		n, _, e := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd),
			uintptr(unsafe.Pointer(&k.msg)), sendFlags)
		if e == syscall.ENOTSOCK {
			k.Calls++
			plain := false
			n, e := WriteNow(fd, k.iov[:count], &plain)
			if e != syscall.EINTR {
				return n, e
			}
			continue
		}
		if e == 0 {
			return int(n), 0
		}
		if e != syscall.EINTR {
			return 0, e
		}
	}
}

// FillIovecs points iov at bufs without their first skip bytes and without
// empty slices, and returns how many elements it used: at most len(iov). The
// caller clears them after the call, so that nothing is kept alive.
func FillIovecs(iov []unix.Iovec, bufs [][]byte, skip int) int {
	count := 0
	for _, b := range bufs {
		if skip >= len(b) {
			skip -= len(b)
			continue
		}
		if count == len(iov) {
			break
		}
		b = b[skip:]
		skip = 0
		iov[count].Base = unsafe.SliceData(b)
		iov[count].SetLen(len(b))
		count++
	}
	return count
}

// IOVMax is also what the kernel takes in one call (UIO_MAXIOV).
var _ [1024 - proactor.IOVMax]struct{}
