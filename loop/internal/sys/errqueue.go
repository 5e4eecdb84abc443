package sys

import (
	"net/netip"
	"syscall"
	"unsafe"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"golang.org/x/sys/unix"
)

// errorControlMax has room for a struct sock_extended_err, for the offender's address
// after it, and for whatever else a user may have asked the kernel for, which comes
// before it: extension headers of IPv6 can have 2 KiB each.
const errorControlMax = 8 << 10

// errorMessage is what recvmsg fills in.
type errorMessage struct {
	unix.Msghdr
	to      Sockaddr
	control [errorControlMax / 8]uint64
}

// TakeError reads one message of the error queue: what the network answered to a
// datagram, whose destination is the message's address (ip(7): IP_RECVERR).
func (k *Kernel) TakeError(fd int) (proactor.QueuedError, bool) {
	if k.errors == nil {
		k.errors = &errorMessage{}
	}
	m := k.errors
	if !k.receiveError(fd, m) {
		return proactor.QueuedError{}, false
	}
	m.to.Len = m.Namelen
	raw := unsafe.Slice((*byte)(unsafe.Pointer(&m.control)), errorControlMax)
	q := queuedError(raw[:min(uint64(m.Controllen), errorControlMax)])
	q.Dest = m.to.Addr()
	return q, true
}

func (k *Kernel) receiveError(fd int, m *errorMessage) bool {
	for {
		m.to.Reset()
		m.Name, m.Namelen = (*byte)(m.to.Pointer()), m.to.Len
		m.Control = (*byte)(unsafe.Pointer(&m.control))
		m.SetControllen(errorControlMax)
		k.Calls++
		_, _, e := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(fd),
			uintptr(unsafe.Pointer(&m.Msghdr)), unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
		if e != syscall.EINTR {
			return e == 0
		}
	}
}

// queuedError finds the error among control messages.
func queuedError(control []byte) (q proactor.QueuedError) {
	for kind, data := range controls(control) {
		switch kind {
		case controlKind{unix.IPPROTO_IP, unix.IP_RECVERR},
			controlKind{unix.IPPROTO_IPV6, unix.IPV6_RECVERR}:
			return extendedError(data)
		}
	}
	return q
}

// extendedError decodes a struct sock_extended_err and the address behind it.
func extendedError(data []byte) (q proactor.QueuedError) {
	var e unix.SockExtendedErr
	size := int(unsafe.Sizeof(e))
	if len(data) < size {
		return q
	}
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&e)), size), data)
	q.Errno, q.Type, q.Code, q.Info = syscall.Errno(e.Errno), e.Type, e.Code, e.Info
	q.V6 = e.Origin == unix.SO_EE_ORIGIN_ICMP6
	q.Local = e.Origin != unix.SO_EE_ORIGIN_ICMP && !q.V6
	q.Offender = offender(data[size:])
	return q
}

// offender decodes the address of the host that answered; it is invalid if there is none.
func offender(raw []byte) netip.Addr {
	var a Sockaddr
	a.SetBytes(raw)
	return a.Addr().Addr().Unmap()
}
