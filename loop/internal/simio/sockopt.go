package simio

import (
	"net/netip"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// The smallest buffers that Linux gives (socket(7)).
const (
	sendBufferMin    = 4608
	receiveBufferMin = 2304
)

// anyOf returns the address that means all of a family, port 0.
func anyOf(family proactor.Family) transport.Addr {
	ip := netip.IPv4Unspecified()
	if family == proactor.IPv6 {
		ip = netip.IPv6Unspecified()
	}
	return transport.Addr{AddrPort: netip.AddrPortFrom(ip, 0)}
}

// loopbackPort returns the loopback address of a's family, with a's port.
func loopbackPort(a transport.Addr) netip.AddrPort {
	return netip.AddrPortFrom(loopbackFor(familyOf(a)), a.Port())
}

// SetOption implements proactor.Kernel.
func (e *calls) SetOption(fd int, option proactor.Option, value int) error {
	e.call()
	defer e.mu.Unlock()
	f := e.need(fd, "SetOption")
	if f == nil {
		return sysError("setsockopt", syscall.EBADF)
	}
	if f.kind > datagramSocket {
		return sysError("setsockopt", syscall.ENOTSOCK)
	}
	if errno := f.mayHave(option); errno != 0 {
		return sysError("setsockopt", errno)
	}
	switch option {
	case proactor.SocketError, proactor.TCPState:
		return sysError("setsockopt", syscall.ENOPROTOOPT)
	case proactor.SendBuffer:
		value = max(2*value, sendBufferMin) // Linux doubles it
		if f.tx != nil {
			f.tx.outMax = value
		}
	case proactor.ReceiveBuffer:
		value = max(2*value, receiveBufferMin)
		if f.rx != nil {
			f.rx.inMax = value
			f.rx.transmit()
		}
	}
	f.options[option] = value
	return nil
}

// GetOption implements proactor.Kernel.
func (e *calls) GetOption(fd int, option proactor.Option) (int, error) {
	e.call()
	defer e.mu.Unlock()
	f := e.need(fd, "GetOption")
	if f == nil {
		return 0, sysError("getsockopt", syscall.EBADF)
	}
	if f.kind > datagramSocket {
		return 0, sysError("getsockopt", syscall.ENOTSOCK)
	}
	if errno := f.mayHave(option); errno != 0 {
		return 0, sysError("getsockopt", errno)
	}
	value := f.options[option]
	switch {
	case option == proactor.SocketError:
		value = int(f.takeError())
	case option == proactor.TCPState:
		value = 1 // established
		if f.broken {
			value = proactor.TCPClosed
		}
	case option == proactor.SendBuffer && value == 0:
		value = 2 * sendBufferMin
		if f.tx != nil {
			value = f.tx.outMax
		}
	case option == proactor.ReceiveBuffer && value == 0:
		value = 2 * receiveBufferMin
		if f.rx != nil {
			value = f.rx.inMax
		}
	}
	return value, nil
}

// mayHave says whether sockets of f's sort have the option.
func (f *file) mayHave(option proactor.Option) Errno {
	switch option {
	case proactor.NoDelay:
		if f.family == proactor.Unix || f.kind != streamSocket {
			return syscall.EOPNOTSUPP
		}
	case proactor.V6Only:
		if f.family != proactor.IPv6 {
			return syscall.EOPNOTSUPP
		}
	case proactor.BindNoPort:
		if f.family == proactor.Unix {
			return syscall.EOPNOTSUPP
		}
	case proactor.Segmentation, proactor.Coalesce, proactor.RecvErr, proactor.RecvErr6:
		if f.family == proactor.Unix || f.kind != datagramSocket {
			return syscall.EOPNOTSUPP
		}
	}
	return 0
}
