package sys

import (
	"os"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"golang.org/x/sys/unix"
)

// spliceFlags: the pipe never waits. Sockets look only at the mode of their file, so that
// is checked as well. The pages are moved, not copied, where the kernel can do that.
const spliceFlags = unix.SPLICE_F_NONBLOCK | unix.SPLICE_F_MOVE

// OpenSplicePipe makes a pipe. If it cannot have the size that is asked for, because of
// /proc/sys/fs/pipe-max-size or of what the user's pipes may have altogether, it has the
// size that the kernel gives to any pipe.
func (k *Kernel) OpenSplicePipe(size int) (proactor.SplicePipe, error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return proactor.SplicePipe{R: -1, W: -1}, os.NewSyscallError("pipe2", err)
	}
	p := proactor.SplicePipe{R: ends[0], W: ends[1]}
	has, err := unix.FcntlInt(uintptr(p.W), unix.F_SETPIPE_SZ, size)
	if err != nil {
		has, err = unix.FcntlInt(uintptr(p.W), unix.F_GETPIPE_SZ, 0)
	}
	if err != nil {
		unix.Close(p.R)
		unix.Close(p.W)
		return proactor.SplicePipe{R: -1, W: -1}, os.NewSyscallError("fcntl", err)
	}
	p.Size = has
	return p, nil
}

// TrySpliceIn moves what a socket has received into a pipe, with splice(2).
func (k *Kernel) TrySpliceIn(fd int, p proactor.SplicePipe, n int) (int, error) {
	StayNonblocking(fd)
	moved, e := k.splice(fd, p.W, n)
	return moved, errnoError("splice", e)
}

// TrySpliceOut sends what is in a pipe, with splice(2).
func (k *Kernel) TrySpliceOut(p proactor.SplicePipe, fd, n int) (int, error) {
	StayNonblocking(fd)
	moved, e := k.splice(p.R, fd, n)
	if e == syscall.EAGAIN {
		return 0, nil
	}
	return moved, errnoError("splice", e)
}

// splice bypasses the scheduler, as sendfile does: see TrySendfile.
func (k *Kernel) splice(from, to, n int) (int, syscall.Errno) {
	for {
		k.Calls++
		moved, _, e := unix.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0,
			uintptr(n), spliceFlags)
		if e != syscall.EINTR {
			return result(moved, e)
		}
	}
}
