package transport

import (
	"crypto/tls"
	"net"
	"net/netip"
	"syscall"
)

// Addr is the address of a datagram's peer: an IP address and port, or the path of
// a Unix datagram socket. It is a value, so that a datagram needs no allocation for
// it. The zero Addr means "the connected peer".
type Addr struct {
	netip.AddrPort
	Path string // of a Unix socket; a leading '@' means an abstract name
}

// IsZero reports whether a contains neither an address nor a path.
func (a Addr) IsZero() bool { return a.Path == "" && !a.AddrPort.IsValid() }

// String returns "ip:port" or the path.
func (a Addr) String() string {
	if a.Path != "" || !a.AddrPort.IsValid() {
		return a.Path
	}
	return a.AddrPort.String()
}

// PeerName returns the address of the transport's peer, or nil if there is none. It
// remains available after the connection is lost.
func PeerName(t BaseTransport) net.Addr {
	a, _ := t.ExtraInfo("peername").(net.Addr)
	return a
}

// SockName returns the transport's own address, or nil if there is none. It remains
// available after the connection is lost.
func SockName(t BaseTransport) net.Addr {
	a, _ := t.ExtraInfo("sockname").(net.Addr)
	return a
}

// Credentials identify the process at the other end of a Unix socket, the one that
// called connect or listen or created the pair, as it was at that time. The IDs are
// those of this process's namespaces: a process ID that does not exist there is 0,
// and a user or group ID is the overflow ID, usually 65534 (unix(7), SO_PEERCRED).
type Credentials struct {
	PID int    // the process
	UID uint32 // its effective user
	GID uint32 // its effective group
}

// PeerCred returns the credentials of the peer of a Unix stream socket. It reports
// false for any other transport, and after ConnectionLost.
func PeerCred(t BaseTransport) (Credentials, bool) {
	c, ok := t.ExtraInfo("peercred").(Credentials)
	return c, ok
}

// TLSState returns the connection state of a TLS transport. It reports false for a
// transport without TLS.
func TLSState(t BaseTransport) (tls.ConnectionState, bool) {
	s, ok := t.ExtraInfo("ssl_object").(tls.ConnectionState)
	return s, ok
}

// Cipher is the value of a TLS transport's ExtraInfo("cipher"), as asyncio's tuple.
type Cipher struct {
	Name    string // of the suite, as in "TLS_AES_128_GCM_SHA256"
	Version string // of the protocol, as in "TLS 1.3"
	Bits    int    // of the secret key
}

// Socket returns access to the transport's descriptor, for socket options and the
// like. It reports false if there is no descriptor or the connection is lost. The
// descriptor belongs to the transport: do not close it, read from it, write to it,
// or keep it.
//
// No option makes the loop wait. A socket that is set to blocking behaves as if it
// were not, and the timeout of SO_LINGER has no effect, because close(2) would wait
// for it; with a timeout of 0 the connection ends with a reset.
func Socket(t BaseTransport) (syscall.RawConn, bool) {
	c, ok := t.ExtraInfo("socket").(syscall.RawConn)
	return c, ok
}
