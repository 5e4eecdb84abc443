package simio

import (
	"encoding/binary"
	"net/netip"

	"github.com/sluice-net/sluice/transport"
)

// Socket addresses as bytes: sockaddr_in, sockaddr_in6 and sockaddr_un.

// The families, as numbers.
const (
	afUnix  = 1
	afInet  = 2
	afInet6 = 10
)

// decodeAddr reads a socket address.
func decodeAddr(b []byte) (a transport.Addr, ok bool) {
	if len(b) < 2 {
		return a, false
	}
	var ip netip.Addr
	switch family := binary.NativeEndian.Uint16(b); {
	case family == afUnix:
		return decodePath(b[2:])
	case family == afInet && len(b) >= 16:
		ip = netip.AddrFrom4([4]byte(b[4:8]))
	case family == afInet6 && len(b) >= 24:
		ip = netip.AddrFrom16([16]byte(b[8:24]))
	default:
		return a, false
	}
	a.AddrPort = netip.AddrPortFrom(ip, binary.BigEndian.Uint16(b[2:]))
	return a, true
}

// decodePath reads a path; an abstract one begins with a zero byte.
func decodePath(b []byte) (a transport.Addr, ok bool) {
	if len(b) == 0 || len(b) > pathMax+1 {
		return a, len(b) == 0
	}
	if b[0] == 0 {
		a.Path = "@" + string(b[1:])
		return a, true
	}
	for i, c := range b {
		if c == 0 {
			b = b[:i]
			break
		}
	}
	a.Path = string(b)
	return a, true
}

// encodeAddr writes a socket address into b and returns its length.
func encodeAddr(b []byte, a transport.Addr) uint32 {
	var raw [128]byte
	n := 0
	switch {
	case a.Path != "":
		binary.NativeEndian.PutUint16(raw[:], afUnix)
		n = 2 + copy(raw[2:], a.Path)
		if a.Path[0] == '@' {
			raw[2] = 0
		} else {
			n++
		}
	case !a.IsValid():
	case a.Addr().Is4():
		binary.NativeEndian.PutUint16(raw[:], afInet)
		ip := a.Addr().As4()
		copy(raw[4:], ip[:])
		n = 16
	default:
		binary.NativeEndian.PutUint16(raw[:], afInet6)
		ip := a.Addr().As16()
		copy(raw[8:], ip[:])
		n = 28
	}
	if a.Path == "" && n > 0 {
		binary.BigEndian.PutUint16(raw[2:], a.Port())
	}
	copy(b, raw[:n])
	return uint32(n)
}
