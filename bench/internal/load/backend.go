package load

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A Backend is the server behind a proxy. It has to be there before the proxy is;
// what it accepts belongs to the pool that is dialled next.
type Backend struct {
	fd   int
	addr string
}

// backendWait is how long a proxy may take to connect.
const backendWait = 10 * time.Second

// Listen returns a backend on a free port of 127.0.0.1. Close it.
func Listen() (*Backend, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	b := &Backend{fd: fd}
	if err := b.listen(); err != nil {
		b.Close()
		return nil, fmt.Errorf("listen behind a proxy: %w", err)
	}
	return b, nil
}

func (b *Backend) listen() error {
	err := unix.Bind(b.fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	if err != nil {
		return os.NewSyscallError("bind", err)
	}
	if err := unix.Listen(b.fd, unix.SOMAXCONN); err != nil {
		return os.NewSyscallError("listen", err)
	}
	name, err := unix.Getsockname(b.fd)
	if err != nil {
		return os.NewSyscallError("getsockname", err)
	}
	b.addr = fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port)
	return nil
}

// Addr is the address that a proxy is to connect to.
func (b *Backend) Addr() string { return b.addr }

// Close ends the listening.
func (b *Backend) Close() { unix.Close(b.fd) }

// accept returns the next connection, non-blocking.
func (b *Backend) accept() (int, error) {
	wait := []unix.PollFd{{Fd: int32(b.fd), Events: unix.POLLIN}}
	for end := time.Now().Add(backendWait); ; {
		n, err := unix.Poll(wait, int(time.Until(end).Milliseconds()))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return -1, os.NewSyscallError("poll", err)
		case n == 0:
			return -1, fmt.Errorf("load: after %v the proxy has not connected", backendWait)
		default:
			fd, _, err := unix.Accept4(b.fd, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
			return fd, os.NewSyscallError("accept4", err)
		}
	}
}
