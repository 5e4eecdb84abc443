package epoll

import (
	"syscall"
	"time"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/sys"
	"golang.org/x/sys/unix"
)

// Machine is what an engine runs on: all of the kernel that it sees. There are two,
// Linux, and the simulated one of package simio, on which the very same engine is
// tested.
//
// No call but Sleep waits for anything; where a call would, it is EAGAIN. What a call
// is given is the machine's until it returns. A count is 0 where there is an errno.
type Machine interface {
	proactor.Kernel

	// OpenEpoll makes the one epoll instance of this machine, and CloseEpoll closes it.
	OpenEpoll() error
	CloseEpoll() error

	// Control is epoll_ctl(2): call is EPOLL_CTL_ADD, EPOLL_CTL_MOD or EPOLL_CTL_DEL, and
	// events of fd have fd and generation in their two halves of the data.
	Control(call, fd int, mask uint32, generation int32) syscall.Errno

	// PollNow fills in the events that there are, as many as fit.
	PollNow(events []unix.EpollEvent) (int, syscall.Errno)

	// Sleep is PollNow, but waits until there are some, no longer than timeout, which is
	// not 0; negative: for ever. EINTR: it may be called again.
	Sleep(events []unix.EpollEvent, timeout time.Duration) (int, syscall.Errno)

	// Eventfd makes a descriptor that is readable after write was called, by any
	// goroutine, until DrainEventfd; CloseEventfd closes it. Nobody calls write then.
	Eventfd() (fd int, write func(), err error)
	DrainEventfd(fd int)
	CloseEventfd(fd int)

	// StayNonblocking makes fd non-blocking where it is not any more.
	StayNonblocking(fd int)

	// Accept takes a connection, non-blocking and close-on-exec, from a listener that is
	// non-blocking itself.
	Accept(fd int) (int, syscall.Errno)

	// Connect is connect(2), and SocketError reads SO_ERROR, which forgets it.
	Connect(fd int, addr *sys.Sockaddr) syscall.Errno
	SocketError(fd int) syscall.Errno

	// Recv, RecvMany, Send and SendMsg are for sockets: recvfrom, recvmmsg with
	// MSG_TRUNC, sendto and sendmsg, without SIGPIPE. What is no socket is ENOTSOCK.
	Recv(fd int, b []byte) (int, syscall.Errno)
	RecvMany(fd int, messages []sys.Message) (int, syscall.Errno)
	Send(fd int, b []byte) (int, syscall.Errno)
	SendMsg(fd int, msg *unix.Msghdr) (int, syscall.Errno)

	// Read and Write are for the rest; plain is what they remember of fd.
	Read(fd int, b []byte, plain *bool) (int, syscall.Errno)
	Write(fd int, iov []unix.Iovec, plain *bool) (int, syscall.Errno)

	// Mmap returns zeroed memory outside of Go's heap, and Munmap takes it back.
	Mmap(n int) ([]byte, error)
	Munmap(b []byte) error

	// Now is the monotonic clock.
	Now() time.Duration

	// KernelCalls counts the calls of Kernel.
	KernelCalls() uint64
}
