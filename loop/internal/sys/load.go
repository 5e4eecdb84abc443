package sys

import "unsafe"

// Load copies an address that the kernel wrote elsewhere, at most SockaddrSize
// bytes.
func (s *Sockaddr) Load(raw []byte) {
	s.Reset()
	s.Len = uint32(copy(unsafe.Slice((*byte)(s.Pointer()), SockaddrSize), raw))
}
