package sys

import (
	"unsafe"

	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/uring"
	"golang.org/x/sys/unix"
)

// Sockaddr is a socket address as the kernel reads and writes it, made from a transport's
// and read back as one.
type Sockaddr struct{ uring.Sockaddr }

// SockaddrSize is the size of a Sockaddr's memory.
const SockaddrSize = unix.SizeofSockaddrAny

// Pointer returns the address of the raw bytes, for a system call.
func (s *Sockaddr) Pointer() unsafe.Pointer { return unsafe.Pointer(&s.Raw) }

// Set encodes a. The zero Addr has no bytes: it is the connected peer. The errors are those
// of SetPath and SetAddrPort.
func (s *Sockaddr) Set(a transport.Addr) error {
	if a.Path != "" {
		return s.SetPath(a.Path)
	}
	return s.SetAddrPort(a.AddrPort)
}

// Addr decodes s, which the kernel filled in. An unnamed Unix socket and an unknown family
// are the zero Addr. It allocates only for a path and for a zone.
func (s *Sockaddr) Addr() transport.Addr {
	if s.Len >= 2 && s.Raw.Addr.Family == unix.AF_UNIX {
		return transport.Addr{Path: s.Path()}
	}
	return transport.Addr{AddrPort: s.AddrPort()}
}
