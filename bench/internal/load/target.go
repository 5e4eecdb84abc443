package load

import (
	"net/netip"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// A target is where a server listens.
type target struct {
	family int
	addr   unix.Sockaddr
}

// parseTarget reads "127.0.0.1:80", or "@name" of an abstract Unix socket.
func parseTarget(addr string) (target, error) {
	if strings.HasPrefix(addr, "@") {
		return target{unix.AF_UNIX, &unix.SockaddrUnix{Name: addr}}, nil
	}
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return target{}, err
	}
	return target{unix.AF_INET,
		&unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}}, nil
}

// connect returns a non-blocking socket connected to the server, from 127.0.0.2 and so
// on if one address does not have enough ports.
func (t target) connect(socketType, host int) (int, error) {
	fd, err := unix.Socket(t.family, socketType|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err := t.reach(fd, socketType, host); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func (t target) reach(fd, socketType, host int) error {
	if host > 0 && t.family == unix.AF_INET {
		unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		from := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, byte(1 + host)}}
		if err := unix.Bind(fd, from); err != nil {
			return os.NewSyscallError("bind", err)
		}
	}
	if err := unix.Connect(fd, t.addr); err != nil {
		return os.NewSyscallError("connect", err)
	}
	if t.family == unix.AF_INET && socketType == unix.SOCK_STREAM {
		unix.SetsockoptInt(fd, unix.SOL_TCP, unix.TCP_NODELAY, 1)
	}
	return os.NewSyscallError("fcntl", unix.SetNonblock(fd, true))
}
