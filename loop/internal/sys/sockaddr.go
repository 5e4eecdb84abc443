package sys

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"unsafe"

	"github.com/sluice-net/sluice/transport"
	"golang.org/x/sys/unix"
)

// Sockaddr is a socket address as the kernel reads and writes it. It is made
// once and used again and again, so that no call allocates for its address.
type Sockaddr struct {
	Raw unix.RawSockaddrAny
	Len uint32 // bytes of Raw in use; before a call that fills Raw in: SockaddrSize
}

// SockaddrSize is the size of a Sockaddr's memory.
const SockaddrSize = unix.SizeofSockaddrAny

const (
	pathOffset = 2 // of sun_path
	pathMax    = len(unix.RawSockaddrUnix{}.Path)
)

// Pointer returns the address of the raw bytes, for a system call.
func (s *Sockaddr) Pointer() unsafe.Pointer { return unsafe.Pointer(&s.Raw) }

// Bytes returns the encoded address, which is valid until s changes.
func (s *Sockaddr) Bytes() []byte { return unsafe.Slice((*byte)(s.Pointer()), s.Len) }

// Reset makes s ready to be filled in by the kernel.
func (s *Sockaddr) Reset() {
	s.Raw.Addr.Family = unix.AF_UNSPEC
	s.Len = SockaddrSize
}

// Set encodes a. The zero Addr, which means the connected peer, has no bytes. A zone is an
// interface's index or name. Errors: EINVAL if the zone names no interface,
// ENAMETOOLONG if the path does not fit.
func (s *Sockaddr) Set(a transport.Addr) error {
	switch {
	case a.Path != "":
		return s.setPath(a.Path)
	case !a.AddrPort.IsValid():
		s.Len = 0
		return nil
	case a.Addr().Is4():
		in := (*unix.RawSockaddrInet4)(s.Pointer())
		*in = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: a.Addr().As4()}
		putPort(&in.Port, a.Port())
		s.Len = unix.SizeofSockaddrInet4
		return nil
	}
	zone, err := zoneIndex(a.Addr().Zone())
	if err != nil {
		return err
	}
	in := (*unix.RawSockaddrInet6)(s.Pointer())
	*in = unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: a.Addr().As16(), Scope_id: zone}
	putPort(&in.Port, a.Port())
	s.Len = unix.SizeofSockaddrInet6
	return nil
}

// setPath encodes a Unix socket's path. An abstract name starts with a zero
// byte and is as long as the length says; a path in the file system ends with
// a zero byte.
func (s *Sockaddr) setPath(path string) error {
	un := (*unix.RawSockaddrUnix)(s.Pointer())
	abstract := path[0] == '@'
	if len(path) > pathMax || len(path) == pathMax && !abstract {
		return syscall.ENAMETOOLONG
	}
	*un = unix.RawSockaddrUnix{Family: unix.AF_UNIX}
	for i := 0; i < len(path); i++ {
		un.Path[i] = int8(path[i])
	}
	s.Len = uint32(pathOffset + len(path))
	if abstract {
		un.Path[0] = 0
	} else {
		s.Len++
	}
	return nil
}

// Addr decodes s, which the kernel filled in. An unnamed Unix socket and an
// unknown family are the zero Addr; a zone is an interface's index. An IPv4
// peer of an IPv6 socket stays mapped, so that an answer goes back the same way.
// It allocates only for a path and for a zone.
func (s *Sockaddr) Addr() transport.Addr {
	switch {
	case s.Len < pathOffset:
		return transport.Addr{}
	case s.Raw.Addr.Family == unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(s.Pointer())
		ip := netip.AddrFrom4(in.Addr)
		return transport.Addr{AddrPort: netip.AddrPortFrom(ip, port(&in.Port))}
	case s.Raw.Addr.Family == unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(s.Pointer())
		ip := netip.AddrFrom16(in.Addr)
		if in.Scope_id != 0 {
			ip = ip.WithZone(strconv.FormatUint(uint64(in.Scope_id), 10))
		}
		return transport.Addr{AddrPort: netip.AddrPortFrom(ip, port(&in.Port))}
	case s.Raw.Addr.Family == unix.AF_UNIX:
		return transport.Addr{Path: s.path()}
	}
	return transport.Addr{}
}

func (s *Sockaddr) path() string {
	un := (*unix.RawSockaddrUnix)(s.Pointer())
	n := min(int(s.Len)-pathOffset, pathMax)
	if n <= 0 {
		return ""
	}
	raw := unsafe.Slice((*byte)(unsafe.Pointer(&un.Path[0])), n)
	if raw[0] == 0 {
		return "@" + string(raw[1:])
	}
	for i, c := range raw {
		if c == 0 {
			return string(raw[:i])
		}
	}
	return string(raw)
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
