package transport

import (
	"crypto/tls"
	"net"
	"net/netip"
	"syscall"
)

// Addr is the address of a datagram's peer: an IP address and port, or the path
// of a Unix datagram socket. It is a value, so that no allocation is needed for
// each datagram. The zero Addr means "the connected peer".
type Addr struct {
	netip.AddrPort
	Path string // of a Unix socket; a leading '@' means an abstract name
}

// IsZero reports whether a names nothing.
func (a Addr) IsZero() bool { return a.Path == "" && !a.AddrPort.IsValid() }

// String returns "ip:port" or the path.
func (a Addr) String() string {
	if a.Path != "" || !a.AddrPort.IsValid() {
		return a.Path
	}
	return a.AddrPort.String()
}

// PeerName returns the address of the transport's peer, nil if there is none.
// It is still known after the connection is lost.
func PeerName(t BaseTransport) net.Addr {
	a, _ := t.ExtraInfo("peername").(net.Addr)
	return a
}

// SockName returns the transport's own address, nil if there is none. It is
// still known after the connection is lost.
func SockName(t BaseTransport) net.Addr {
	a, _ := t.ExtraInfo("sockname").(net.Addr)
	return a
}

// Credentials say who is at the other end of a Unix socket: the process that
// called connect, or listen, or made the pair, as it was then. They are as seen
// from this process's namespaces: an id that has no equal there is 0 for a
// process and the overflow id, mostly 65534, for users and groups (unix(7),
// SO_PEERCRED).
type Credentials struct {
	PID int    // the process
	UID uint32 // its effective user
	GID uint32 // its effective group
}

// PeerCred returns the credentials of the peer of a Unix stream socket, and false
// for any other transport and after ConnectionLost.
func PeerCred(t BaseTransport) (Credentials, bool) {
	c, ok := t.ExtraInfo("peercred").(Credentials)
	return c, ok
}

// TLSState returns the state of a TLS transport's connection, and false for a
// transport without TLS.
func TLSState(t BaseTransport) (tls.ConnectionState, bool) {
	s, ok := t.ExtraInfo("ssl_object").(tls.ConnectionState)
	return s, ok
}

// Cipher is what a TLS transport's ExtraInfo("cipher") is: asyncio's tuple.
type Cipher struct {
	Name    string // of the suite, as in "TLS_AES_128_GCM_SHA256"
	Version string // of the protocol, as in "TLS 1.3"
	Bits    int    // of the secret key
}

// Socket gives access to the transport's descriptor, for socket options and the
// like, and false where there is none or the connection is lost. The descriptor
// is the transport's: do not close it, read it, write it or keep it.
//
// No option makes the loop wait. A socket that is made blocking behaves as one that is
// not, and the time of an SO_LINGER has no effect, because close(2) would wait for it;
// with a time of 0 the connection ends with a reset.
func Socket(t BaseTransport) (syscall.RawConn, bool) {
	c, ok := t.ExtraInfo("socket").(syscall.RawConn)
	return c, ok
}
