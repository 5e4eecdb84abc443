package epoll

import (
	"os"
	"syscall"
	"time"
	"unsafe"

	"github.com/sluice-net/sluice/loop/internal/sys"
	"golang.org/x/sys/unix"
)

// linux is the real machine. It is used by one goroutine at a time: it has scratch
// memory, so that no call allocates.
type linux struct {
	sys.Kernel

	epfd     int
	noPwait2 bool
	event    unix.EpollEvent
	timeout  timespec
}

// OpenEpoll creates the instance, and finds out how precisely it can sleep.
func (l *linux) OpenEpoll() error {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	l.epfd = epfd
	l.noPwait2 = !l.hasPwait2()
	return nil
}

func (l *linux) CloseEpoll() error { return os.NewSyscallError("close", unix.Close(l.epfd)) }

func (l *linux) Control(call, fd int, mask uint32, generation int32) syscall.Errno {
	// Fd and Pad are the two halves of the event's data.
	l.event = unix.EpollEvent{Events: mask, Fd: int32(fd), Pad: generation}
	_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(l.epfd), uintptr(call),
		uintptr(fd), uintptr(unsafe.Pointer(&l.event)), 0, 0)
	return errno
}

// PollNow does not sleep, so the scheduler need not be told.
func (l *linux) PollNow(events []unix.EpollEvent) (int, syscall.Errno) {
	return count(unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.epfd),
		uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), 0, 0, 0))
}

// timespec is __kernel_timespec: 64 bits on every architecture.
type timespec struct{ sec, nsec int64 }

// Sleep sleeps as precisely as the kernel can: epoll_pwait2 (Linux 5.11,
// epoll_wait(2)) takes nanoseconds; before that, the timeout is rounded up to whole
// milliseconds, because a timer must not fire early.
func (l *linux) Sleep(events []unix.EpollEvent, timeout time.Duration) (int, syscall.Errno) {
	if l.noPwait2 {
		ms := -1
		if timeout > 0 {
			ms = int(min((timeout-1)/time.Millisecond+1, 1<<31-1))
		}
		return count(unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.epfd),
			uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)),
			uintptr(ms), 0, 0))
	}
	var until unsafe.Pointer
	if timeout > 0 {
		l.timeout = timespec{int64(timeout / time.Second), int64(timeout % time.Second)}
		until = unsafe.Pointer(&l.timeout)
	}
	return count(unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(l.epfd),
		uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)),
		uintptr(until), 0, 0))
}

// hasPwait2 tries epoll_pwait2 once, on an instance that watches nothing. A seccomp
// filter may refuse it as well.
func (l *linux) hasPwait2() bool {
	var none [1]unix.EpollEvent
	_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(l.epfd),
		uintptr(unsafe.Pointer(&none)), 1, uintptr(unsafe.Pointer(&l.timeout)), 0, 0)
	return errno == 0 || errno == syscall.EINTR
}

func (*linux) Eventfd() (int, func(), error) { return sys.Eventfd() }

func (*linux) DrainEventfd(fd int) { sys.DrainEventfd(fd) }

func (*linux) CloseEventfd(fd int) { unix.Close(fd) }

func (*linux) StayNonblocking(fd int) { sys.StayNonblocking(fd) }

func (*linux) Accept(fd int) (int, syscall.Errno) {
	return count(unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), 0, 0,
		unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0))
}

func (*linux) Connect(fd int, addr *sys.Sockaddr) syscall.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd),
		uintptr(addr.Pointer()), uintptr(addr.Len))
	return errno
}

func (*linux) SocketError(fd int) syscall.Errno {
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return syscall.EBADF
	}
	return syscall.Errno(n)
}

func (*linux) Recv(fd int, b []byte) (int, syscall.Errno) {
	return count(unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_DONTWAIT, 0, 0))
}

func (*linux) RecvMany(fd int, messages []sys.Message) (int, syscall.Errno) {
	return count(unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(messages))), uintptr(len(messages)),
		unix.MSG_DONTWAIT|unix.MSG_TRUNC, 0, 0))
}

// sendFlags: no waiting, and an error instead of a signal when the peer is gone.
const sendFlags = unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL

func (*linux) Send(fd int, b []byte) (int, syscall.Errno) {
	return count(unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), sendFlags, 0, 0))
}

func (*linux) SendMsg(fd int, msg *unix.Msghdr) (int, syscall.Errno) {
	return count(unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd),
		uintptr(unsafe.Pointer(msg)), sendFlags))
}

func (*linux) Read(fd int, b []byte, plain *bool) (int, syscall.Errno) {
	return sys.ReadNow(fd, unsafe.Pointer(unsafe.SliceData(b)), len(b), plain)
}

func (*linux) Write(fd int, iov []unix.Iovec, plain *bool) (int, syscall.Errno) {
	return sys.WriteNow(fd, iov, plain)
}

func (*linux) Mmap(n int) ([]byte, error) { return sys.Mmap(n) }

func (*linux) Munmap(b []byte) error { return sys.Munmap(b) }

func (*linux) Now() time.Duration { return sys.Monotonic() }

func (l *linux) KernelCalls() uint64 { return l.Calls }

// count returns what a system call returned: a number, or an errno.
func count(n, _ uintptr, errno syscall.Errno) (int, syscall.Errno) {
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}
