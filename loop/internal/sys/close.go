package sys

import (
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// CloseFD closes fd, which is the loop's own. EINTR is not an error: Linux has closed
// the descriptor by then (close(2)), and a second call could close somebody else's.
//
// CloseFD does not wait. A socket with a positive SO_LINGER time would wait until its peer
// has taken everything or the time has passed, so the time is removed first: on Linux it
// limits only the wait (tcp_close), and the peer sees no difference. A time of 0 is kept,
// because it asks for a reset. A device may wait until its output is drained (a serial
// line for half a minute), so it is closed on another goroutine.
func (k *Kernel) CloseFD(fd int) error {
	if linger(fd) == syscall.ENOTSOCK && isDevice(fd) {
		k.Discard(fd)
		return nil
	}
	if err := unix.Close(fd); err != nil && err != syscall.EINTR {
		return os.NewSyscallError("close", err)
	}
	return nil
}

// Discard closes a descriptor of a file that a user or a peer has passed. Closing it may
// wait, for example for a file server, or for a socket's SO_LINGER, which must not be
// changed for others who have the socket. So it is done on another goroutine, and its
// result is dropped.
func (k *Kernel) Discard(fd int) { elsewhere.do(func() { _ = unix.Close(fd) }) }

// DiscardFile is Discard of an open file.
func (k *Kernel) DiscardFile(f *os.File) { elsewhere.do(func() { _ = f.Close() }) }

// linger keeps close from waiting for a socket.
func linger(fd int) syscall.Errno {
	var l unix.Linger
	size := uint32(unsafe.Sizeof(l))
	_, _, e := unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET,
		unix.SO_LINGER, uintptr(unsafe.Pointer(&l)), uintptr(unsafe.Pointer(&size)), 0)
	if e == 0 && l.Onoff != 0 && l.Linger != 0 {
		_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{})
	}
	return e
}

func isDevice(fd int) bool {
	var stat unix.Stat_t
	return unix.Fstat(fd, &stat) == nil && stat.Mode&unix.S_IFMT == unix.S_IFCHR
}

// elsewhere closes descriptors whose closing may wait.
var elsewhere closer

// closersMax is how many closes may wait at a time, each on a thread; more are queued.
const closersMax = 8

// closer runs functions that may wait, on goroutines of its own.
type closer struct {
	mu      sync.Mutex
	queue   []func()
	closers int
}

func (c *closer) do(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(c.queue, f)
	if c.closers < closersMax {
		c.closers++
		go c.work()
	}
}

func (c *closer) work() {
	for f := c.next(); f != nil; f = c.next() {
		f()
	}
}

// next returns the function to run next, or nil if the goroutine has to end.
func (c *closer) next() func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		c.queue = nil
		c.closers--
		return nil
	}
	f := c.queue[0]
	c.queue[0] = nil
	c.queue = c.queue[1:]
	return f
}
