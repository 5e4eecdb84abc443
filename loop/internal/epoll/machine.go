package epoll

import (
	"syscall"
	"time"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/sys"
	"golang.org/x/sys/unix"
)

// Machine is what an engine runs on: everything that it sees of the kernel. There
// are two: Linux, and the simulated one of package simio, on which the very same
// engine is tested.
//
// No call except Sleep waits for anything; a call that would have to wait returns
// EAGAIN. Memory that is passed to a call belongs to the machine until the call
// returns. A count is 0 if there is an errno.
type Machine interface {
	proactor.Kernel

	// OpenEpoll creates the one epoll instance of this machine, and CloseEpoll
	// closes it.
	OpenEpoll() error
	CloseEpoll() error

	// Control is epoll_ctl(2): call is EPOLL_CTL_ADD, EPOLL_CTL_MOD or
	// EPOLL_CTL_DEL, and events of fd carry fd and generation in the two halves of
	// their data.
	Control(call, fd int, mask uint32, generation int32) syscall.Errno

	// PollNow fills in the events that are pending, as many as fit.
	PollNow(events []unix.EpollEvent) (int, syscall.Errno)

	// Sleep is PollNow, but waits until there are some events, for no longer than
	// timeout, which is not 0; negative means forever. After EINTR it may be called
	// again.
	Sleep(events []unix.EpollEvent, timeout time.Duration) (int, syscall.Errno)

	// Eventfd creates a descriptor that is readable after write was called, by any
	// goroutine, until DrainEventfd. CloseEventfd closes it; write is no longer
	// called by then.
	Eventfd() (fd int, write func(), err error)
	DrainEventfd(fd int)
	CloseEventfd(fd int)

	// StayNonblocking makes fd non-blocking again if it no longer is.
	StayNonblocking(fd int)

	// Accept accepts a connection, non-blocking and close-on-exec, from a listener
	// that is itself non-blocking.
	Accept(fd int) (int, syscall.Errno)

	// Connect is connect(2). SocketError reads SO_ERROR, which clears it.
	Connect(fd int, addr *sys.Sockaddr) syscall.Errno
	SocketError(fd int) syscall.Errno

	// Recv, RecvMany, Send and SendMsg are for sockets: recvfrom, recvmmsg with
	// MSG_TRUNC, sendto and sendmsg, without SIGPIPE. Anything that is not a socket
	// gives ENOTSOCK.
	Recv(fd int, b []byte) (int, syscall.Errno)
	RecvMany(fd int, messages []sys.Message) (int, syscall.Errno)
	Send(fd int, b []byte) (int, syscall.Errno)
	SendMsg(fd int, msg *unix.Msghdr) (int, syscall.Errno)

	// Read and Write are for everything else; plain is what they remember about fd.
	Read(fd int, b []byte, plain *bool) (int, syscall.Errno)
	Write(fd int, iov []unix.Iovec, plain *bool) (int, syscall.Errno)

	// Mmap returns zeroed memory outside of Go's heap, and Munmap takes it back.
	Mmap(n int) ([]byte, error)
	Munmap(b []byte) error

	// Now returns the time of the monotonic clock.
	Now() time.Duration

	// KernelCalls counts the calls of Kernel.
	KernelCalls() uint64
}
