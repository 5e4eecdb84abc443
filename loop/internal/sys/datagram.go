package sys

import (
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
	"golang.org/x/sys/unix"
)

// ConnectDatagram makes addr the peer of fd. A datagram socket's connect(2) does
// not wait for anything.
func (k *Kernel) ConnectDatagram(fd int, addr transport.Addr) error {
	if err := k.addr.Set(addr); err != nil {
		return os.NewSyscallError("connect", err)
	}
	_, _, e := unix.Syscall(unix.SYS_CONNECT, uintptr(fd),
		uintptr(k.addr.Pointer()), uintptr(k.addr.Len))
	return errnoError("connect", e)
}

// JoinGroup joins a multicast group.
func (k *Kernel) JoinGroup(fd int, group netip.Addr, index int) error {
	group = group.Unmap()
	if group.Is4() {
		req := unix.IPMreqn{Multiaddr: group.As4(), Ifindex: int32(index)}
		return os.NewSyscallError("setsockopt",
			unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, &req))
	}
	req := unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(index)}
	return os.NewSyscallError("setsockopt",
		unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, &req))
}

// MulticastFrom chooses the interface that fd sends to groups from.
func (k *Kernel) MulticastFrom(fd int, family proactor.Family, index int) error {
	if family == proactor.IPv4 {
		req := unix.IPMreqn{Ifindex: int32(index)}
		return os.NewSyscallError("setsockopt",
			unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, &req))
	}
	return os.NewSyscallError("setsockopt",
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, index))
}

// Message is struct mmsghdr: a message, and how many bytes of it were sent or received.
type Message struct {
	unix.Msghdr
	N uint32
}

// batch is what sendmmsg reads.
type batch struct {
	messages [proactor.BatchMax]Message
	iov      [proactor.BatchMax]unix.Iovec
	to       [proactor.BatchMax]Sockaddr
	segments [proactor.BatchMax]segmentControl
}

// TrySendMany sends what the kernel takes of a batch at once, in one call.
// sendmmsg(2) stops at the first datagram that fails, and returns how many were sent
// before it but not the error. So a second call is made at once, which begins with
// that datagram and returns its error. An error that an earlier datagram left on the
// socket is consumed by the first call; the second then sends the datagram.
func (k *Kernel) TrySendMany(fd int, datagrams []proactor.Packet) (int, error) {
	if k.batch == nil {
		k.batch = &batch{}
	}
	datagrams = datagrams[:min(len(datagrams), proactor.BatchMax)]
	count, err := k.batch.fill(datagrams)
	defer clear(k.batch.iov[:count])
	sent := 0
	for sent < count {
		n, e := k.sendMany(fd, k.batch.messages[sent:count])
		if e == syscall.EAGAIN {
			return sent, nil
		}
		if e != 0 {
			return sent, errnoError("sendmmsg", e)
		}
		sent += n
	}
	return sent, err
}

func (k *Kernel) sendMany(fd int, messages []Message) (int, syscall.Errno) {
	for {
		k.Calls++
		n, _, e := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd),
			uintptr(unsafe.Pointer(&messages[0])), uintptr(len(messages)), sendFlags, 0, 0)
		if e == 0 {
			return int(n), 0
		}
		if e != syscall.EINTR {
			return 0, e
		}
	}
}

// fill describes datagrams to the kernel. It returns how many there are before the
// first one with an invalid address, and what is wrong with that address.
func (b *batch) fill(datagrams []proactor.Packet) (int, error) {
	for i := range datagrams {
		d, m := &datagrams[i], &b.messages[i]
		if err := b.to[i].Set(d.Addr); err != nil {
			return i, os.NewSyscallError("sendmmsg", err)
		}
		m.Msghdr = unix.Msghdr{Iov: &b.iov[i]}
		m.SetIovlen(1)
		b.iov[i].Base = unsafe.SliceData(d.Data)
		b.iov[i].SetLen(len(d.Data))
		if b.to[i].Len > 0 {
			m.Name, m.Namelen = (*byte)(b.to[i].Pointer()), b.to[i].Len
		}
		if d.Segment > 0 {
			b.segments[i].set(&m.Msghdr, d.Segment)
		}
	}
	return len(datagrams), nil
}
