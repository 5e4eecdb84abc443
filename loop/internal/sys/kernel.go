// Package sys has the system calls that the engines share: socket calls that return at
// once, addresses as raw bytes, the descriptor that wakes a loop, and memory.
package sys

import (
	"os"
	"syscall"
	"unsafe"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
	"golang.org/x/sys/unix"
)

// Kernel implements proactor.Kernel on Linux. An engine embeds it. It has
// scratch memory, so one goroutine at a time may use it.
type Kernel struct {
	// Calls counts the system calls of TrySend, TrySendMany and TakeError, and those
	// on files.
	Calls uint64

	addr   Sockaddr
	batch  *batch        // of TrySendMany; nil until there is one
	errors *errorMessage // of TakeError; likewise
	msg    unix.Msghdr
	iov    [proactor.IOVMax]unix.Iovec
	file   fileCall
	known  known
	seen   seen
	rights *rights // of TrySendFDs and TryRecvFDs; nil until there are some
}

var _ proactor.Kernel = (*Kernel)(nil)

// Socket makes a socket that is close-on-exec and non-blocking.
func (k *Kernel) Socket(family proactor.Family, kind proactor.Kind) (int, error) {
	domain, typ := 0, 0
	switch family {
	case proactor.IPv4:
		domain = unix.AF_INET
	case proactor.IPv6:
		domain = unix.AF_INET6
	case proactor.Unix:
		domain = unix.AF_UNIX
	default:
		return -1, os.NewSyscallError("socket", syscall.EAFNOSUPPORT)
	}
	switch kind {
	case proactor.Stream:
		typ = unix.SOCK_STREAM
	case proactor.Datagram:
		typ = unix.SOCK_DGRAM
	case proactor.SeqPacket:
		typ = unix.SOCK_SEQPACKET
	default:
		return -1, os.NewSyscallError("socket", syscall.ESOCKTNOSUPPORT)
	}
	fd, err := unix.Socket(domain, typ|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	return fd, os.NewSyscallError("socket", err)
}

// Bind binds fd to addr.
func (k *Kernel) Bind(fd int, addr transport.Addr) error {
	if err := k.addr.Set(addr); err != nil {
		return os.NewSyscallError("bind", err)
	}
	_, _, e := unix.Syscall(unix.SYS_BIND, uintptr(fd),
		uintptr(k.addr.Pointer()), uintptr(k.addr.Len))
	return errnoError("bind", e)
}

// Listen makes fd listen.
func (k *Kernel) Listen(fd, backlog int) error {
	return os.NewSyscallError("listen", unix.Listen(fd, backlog))
}

// Adopt duplicates f's descriptor, close-on-exec, makes it non-blocking and
// closes f. The mode belongs to the open file, so whoever shares it sees it.
func (k *Kernel) Adopt(f *os.File) (int, error) {
	defer f.Close()
	fd, err := k.adopt(f)
	if err != nil {
		return -1, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("fcntl", err)
	}
	return fd, nil
}

// adopt is Duplicate for a file that becomes a transport's: the error for a closed file
// is EBADF, as from the system call.
func (k *Kernel) adopt(f *os.File) (int, error) {
	fd, err := k.Duplicate(f)
	if err == os.ErrClosed {
		err = os.NewSyscallError("fcntl", syscall.EBADF)
	}
	return fd, err
}

// Duplicate returns another descriptor of f, close-on-exec. Error: os.ErrClosed.
func (k *Kernel) Duplicate(f *os.File) (int, error) {
	// File.Fd would make the descriptor blocking; Control does not.
	raw, err := f.SyscallConn()
	if err != nil {
		return -1, os.ErrClosed
	}
	fd, dupErr := -1, error(nil)
	err = raw.Control(func(old uintptr) {
		fd, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err != nil {
		return -1, os.ErrClosed
	}
	return fd, os.NewSyscallError("fcntl", dupErr)
}

// Describe returns the family and kind of a socket; Other and NotSocket for anything else.
func (k *Kernel) Describe(fd int) (proactor.Family, proactor.Kind, error) {
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err == syscall.ENOTSOCK {
		return proactor.Other, proactor.NotSocket, nil
	}
	if err != nil {
		return proactor.Other, proactor.NotSocket, os.NewSyscallError("getsockopt", err)
	}
	typ, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return proactor.Other, proactor.NotSocket, os.NewSyscallError("getsockopt", err)
	}
	family := proactor.Other
	switch domain {
	case unix.AF_INET:
		family = proactor.IPv4
	case unix.AF_INET6:
		family = proactor.IPv6
	case unix.AF_UNIX:
		family = proactor.Unix
	}
	switch typ {
	case unix.SOCK_STREAM:
		return family, proactor.Stream, nil
	case unix.SOCK_DGRAM:
		return family, proactor.Datagram, nil
	case unix.SOCK_SEQPACKET:
		return family, proactor.SeqPacket, nil
	}
	return family, proactor.NotSocket, os.NewSyscallError("getsockopt", syscall.ESOCKTNOSUPPORT)
}

// Pollable returns nil if Poll can watch fd. Files on a disk are always ready, so
// epoll refuses them (EPERM in epoll_ctl(2)), and so does this for any engine.
func (k *Kernel) Pollable(fd int) error {
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	switch stat.Mode & unix.S_IFMT {
	case unix.S_IFREG, unix.S_IFDIR, unix.S_IFBLK:
		return os.NewSyscallError("epoll_ctl", syscall.EPERM)
	}
	return nil
}

// LocalAddr returns the address of fd.
func (k *Kernel) LocalAddr(fd int) (transport.Addr, error) {
	return k.name("getsockname", unix.SYS_GETSOCKNAME, fd)
}

// RemoteAddr returns the address of fd's peer.
func (k *Kernel) RemoteAddr(fd int) (transport.Addr, error) {
	return k.name("getpeername", unix.SYS_GETPEERNAME, fd)
}

func (k *Kernel) name(call string, number uintptr, fd int) (transport.Addr, error) {
	k.addr.Reset()
	_, _, e := unix.RawSyscall(number, uintptr(fd),
		uintptr(k.addr.Pointer()), uintptr(unsafe.Pointer(&k.addr.Len)))
	if e != 0 {
		return transport.Addr{}, errnoError(call, e)
	}
	return k.addr.Addr(), nil
}

// PeerCred returns who is at the other end of a Unix stream socket.
func (k *Kernel) PeerCred(fd int) (transport.Credentials, error) {
	c, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return transport.Credentials{}, os.NewSyscallError("getsockopt", err)
	}
	return transport.Credentials{PID: int(c.Pid), UID: c.Uid, GID: c.Gid}, nil
}

// ShutdownWrite sends FIN after what was sent before.
func (k *Kernel) ShutdownWrite(fd int) error {
	return os.NewSyscallError("shutdown", unix.Shutdown(fd, unix.SHUT_WR))
}

// StopListening makes a listener refuse connections at once.
func (k *Kernel) StopListening(fd int) error {
	return os.NewSyscallError("shutdown", unix.Shutdown(fd, unix.SHUT_RDWR))
}

// errnoError returns nil for 0. os.NewSyscallError would allocate for it.
func errnoError(call string, e syscall.Errno) error {
	if e == 0 {
		return nil
	}
	return os.NewSyscallError(call, e)
}
