//go:build linux

package uring

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Sockaddr is a socket address in the form that the kernel reads and writes: of IPv4,
// IPv6 or a Unix socket. The zero value holds no address. A Sockaddr can be used again and
// again, so that no operation allocates for its address.
//
// To pass it to the kernel, stage its bytes, which copies them:
//
//	sqe.PrepConnect(fd, ring.StageAddr(to.Bytes()), to.Len)
//	sqe.PrepSendMsg(fd, ring.StageMsg(bufs, 0, to.Bytes()), 0)
//
// To read what the kernel wrote elsewhere, such as RecvMsgOut.Name, copy it with SetBytes.
// To have it filled in by PrepAccept, allocate it, for example as a field of the
// connection's own struct, call Reset, pass &s.Raw and &s.Len, and keep it reachable until
// the completion.
type Sockaddr struct {
	Raw unix.RawSockaddrAny
	Len uint32 // bytes of Raw in use; before the kernel fills Raw in: their number
}

const (
	pathOffset = unsafe.Offsetof(unix.RawSockaddrUnix{}.Path)
	pathMax    = len(unix.RawSockaddrUnix{}.Path)
)

func (s *Sockaddr) pointer() unsafe.Pointer { return unsafe.Pointer(&s.Raw) }

// Bytes returns the address's bytes, which are part of s: they change when it does.
func (s *Sockaddr) Bytes() []byte {
	return unsafe.Slice((*byte)(s.pointer()), min(s.Len, unix.SizeofSockaddrAny))
}

// Reset makes s ready to be filled in by the kernel.
func (s *Sockaddr) Reset() {
	s.Raw.Addr.Family = unix.AF_UNSPEC
	s.Len = unix.SizeofSockaddrAny
}

// SetBytes makes s a copy of raw, an address that the kernel wrote. Bytes beyond the
// longest address that s can hold, 112, are ignored.
func (s *Sockaddr) SetBytes(raw []byte) {
	whole := unsafe.Slice((*byte)(s.pointer()), unix.SizeofSockaddrAny)
	s.Len = uint32(copy(whole, raw)) // raw may be part of s
}

// SetAddrPort makes s the address a. A zone is the index or the name of an interface;
// looking up a name allocates. An IPv4 address mapped into IPv6 stays an IPv6
// address. With the zero AddrPort, s holds no address.
//
// Errors: EINVAL if the zone names no interface.
func (s *Sockaddr) SetAddrPort(a netip.AddrPort) error {
	switch {
	case !a.IsValid():
		s.Len = 0
		return nil
	case a.Addr().Is4():
		in := (*unix.RawSockaddrInet4)(s.pointer())
		*in = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: a.Addr().As4()}
		putPort(&in.Port, a.Port())
		s.Len = unix.SizeofSockaddrInet4
		return nil
	}
	zone, err := zoneIndex(a.Addr().Zone())
	if err != nil {
		return err
	}
	in := (*unix.RawSockaddrInet6)(s.pointer())
	*in = unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: a.Addr().As16(), Scope_id: zone}
	putPort(&in.Port, a.Port())
	s.Len = unix.SizeofSockaddrInet6
	return nil
}

// SetPath makes s the address of a Unix socket: a path in the file system or, if it begins
// with "@", an abstract name. Binding to the empty path makes the kernel choose an abstract
// name (unix(7)).
//
// Errors: ENAMETOOLONG if a path has more than 107 bytes, or an abstract name more than
// 108 with its "@"; EINVAL if a path contains a zero byte.
func (s *Sockaddr) SetPath(path string) error {
	abstract := strings.HasPrefix(path, "@")
	switch {
	case len(path) > pathMax || len(path) == pathMax && !abstract:
		return syscall.ENAMETOOLONG
	case !abstract && strings.IndexByte(path, 0) >= 0:
		return syscall.EINVAL
	}
	un := (*unix.RawSockaddrUnix)(s.pointer())
	*un = unix.RawSockaddrUnix{Family: unix.AF_UNIX}
	s.Len = uint32(pathOffset) + uint32(len(path))
	copy(s.Bytes()[pathOffset:], path)
	switch {
	case abstract:
		un.Path[0] = 0 // and it is as long as the length says
	case path != "":
		s.Len++ // it ends with a zero byte
	}
	return nil
}

// AddrPort returns the address, or the zero AddrPort if s holds no IPv4 or IPv6 address. A
// zone is the index of an interface, in digits, and costs an allocation. An IPv4 peer of an
// IPv6 socket stays mapped, so that an answer goes back the same way.
func (s *Sockaddr) AddrPort() netip.AddrPort {
	switch {
	case s.Len >= unix.SizeofSockaddrInet4 && s.Raw.Addr.Family == unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(s.pointer())
		return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), port(&in.Port))
	case s.Len >= unix.SizeofSockaddrInet6 && s.Raw.Addr.Family == unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(s.pointer())
		ip := netip.AddrFrom16(in.Addr)
		if in.Scope_id != 0 {
			ip = ip.WithZone(strconv.FormatUint(uint64(in.Scope_id), 10))
		}
		return netip.AddrPortFrom(ip, port(&in.Port))
	}
	return netip.AddrPort{}
}

// Path returns the path of a Unix socket, which begins with "@" if it is an abstract name.
// It is empty for an unnamed socket and for other families.
func (s *Sockaddr) Path() string {
	raw := s.Bytes()
	if len(raw) <= int(pathOffset) || s.Raw.Addr.Family != unix.AF_UNIX {
		return ""
	}
	raw = raw[pathOffset:min(len(raw), int(pathOffset)+pathMax)]
	if raw[0] == 0 {
		return "@" + string(raw[1:])
	}
	path, _, _ := strings.Cut(string(raw), "\x00")
	return path
}

// zoneIndex returns the index of an IPv6 zone, 0 for no zone.
func zoneIndex(zone string) (uint32, error) {
	if zone == "" {
		return 0, nil
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n), nil
	}
	in, err := net.InterfaceByName(zone)
	if err != nil {
		return 0, syscall.EINVAL
	}
	return uint32(in.Index), nil
}

// Ports are big-endian in memory whatever the machine is.

func putPort(field *uint16, port uint16) {
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(field))[:], port)
}

func port(field *uint16) uint16 {
	return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(field))[:])
}
