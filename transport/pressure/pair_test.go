package pressure

import (
	"net"
	"net/netip"
	"syscall"
	"testing"
)

// tcpPair returns both ends of a connection; b is the accepted one.
func tcpPair(t *testing.T) (a, b *net.TCPConn) {
	t.Helper()
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	dialed, err := net.Dial("tcp4", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialed.Close() })
	accepted, err := listener.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { accepted.Close() })
	return dialed.(*net.TCPConn), accepted
}

// fdOf returns the descriptor of a connection or file, which keeps ownership of it.
func fdOf(t *testing.T, c syscall.Conn) int {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	out := -1
	if err := raw.Control(func(fd uintptr) { out = int(fd) }); err != nil {
		t.Fatal(err)
	}
	return out
}

// connAt finds a connection by its local address.
func connAt(t *testing.T, s *Snapshot, local net.Addr) *Conn {
	t.Helper()
	want := netip.MustParseAddrPort(local.String())
	for i := range s.Conns {
		if s.Conns[i].Local == want {
			return &s.Conns[i]
		}
	}
	t.Fatalf("no connection at %v", want)
	return nil
}
