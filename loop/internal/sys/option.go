package sys

import (
	"os"
	"syscall"
	"unsafe"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"golang.org/x/sys/unix"
)

// options is where each option lives: its level and its name.
var options = [...]struct{ level, name int }{
	proactor.NoDelay:       {unix.IPPROTO_TCP, unix.TCP_NODELAY},
	proactor.ReuseAddr:     {unix.SOL_SOCKET, unix.SO_REUSEADDR},
	proactor.ReusePort:     {unix.SOL_SOCKET, unix.SO_REUSEPORT},
	proactor.KeepAlive:     {unix.SOL_SOCKET, unix.SO_KEEPALIVE},
	proactor.V6Only:        {unix.IPPROTO_IPV6, unix.IPV6_V6ONLY},
	proactor.LingerReset:   {unix.SOL_SOCKET, unix.SO_LINGER},
	proactor.SendBuffer:    {unix.SOL_SOCKET, unix.SO_SNDBUF},
	proactor.ReceiveBuffer: {unix.SOL_SOCKET, unix.SO_RCVBUF},
	proactor.SocketError:   {unix.SOL_SOCKET, unix.SO_ERROR},
	proactor.TCPState:      {unix.IPPROTO_TCP, unix.TCP_INFO},
	proactor.Broadcast:     {unix.SOL_SOCKET, unix.SO_BROADCAST},
	proactor.BindNoPort:    {unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT},

	proactor.MulticastTTL:   {unix.IPPROTO_IP, unix.IP_MULTICAST_TTL},
	proactor.MulticastHops:  {unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS},
	proactor.MulticastLoop:  {unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP},
	proactor.MulticastLoop6: {unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_LOOP},

	proactor.Segmentation: {unix.IPPROTO_UDP, unix.UDP_SEGMENT},
	proactor.Coalesce:     {unix.IPPROTO_UDP, unix.UDP_GRO},
	proactor.RecvErr:      {unix.IPPROTO_IP, unix.IP_RECVERR},
	proactor.RecvErr6:     {unix.IPPROTO_IPV6, unix.IPV6_RECVERR},
}

// SetOption sets a socket option. LingerReset takes 1 or 0.
func (k *Kernel) SetOption(fd int, option proactor.Option, value int) error {
	if int(option) >= len(options) {
		return os.NewSyscallError("setsockopt", syscall.ENOPROTOOPT)
	}
	o := options[option]
	if option == proactor.LingerReset {
		linger := unix.Linger{Onoff: int32(value)}
		return os.NewSyscallError("setsockopt",
			unix.SetsockoptLinger(fd, o.level, o.name, &linger))
	}
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, o.level, o.name, value))
}

// GetOption reads a socket option. LingerReset is the first word of its value:
// whether it is on; TCPState the first byte.
func (k *Kernel) GetOption(fd int, option proactor.Option) (int, error) {
	if int(option) >= len(options) {
		return 0, os.NewSyscallError("getsockopt", syscall.ENOPROTOOPT)
	}
	o := options[option]
	value, err := unix.GetsockoptInt(fd, o.level, o.name)
	if option == proactor.TCPState {
		first := int32(value)
		value = int(*(*uint8)(unsafe.Pointer(&first)))
	}
	return value, os.NewSyscallError("getsockopt", err)
}

// Cookie returns SO_COOKIE (Linux 4.12, of Unix sockets too: sock_getsockopt), which
// the kernel gives out once and which ss prints with -e. For anything else it returns the
// inode; a pipe's is the number in its link in /proc.
func (k *Kernel) Cookie(fd int) (uint64, error) {
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
	if err != syscall.ENOTSOCK {
		return cookie, os.NewSyscallError("getsockopt", err)
	}
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return 0, os.NewSyscallError("fstat", err)
	}
	return stat.Ino, nil
}
