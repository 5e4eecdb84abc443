package stream

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/transport"
)

// How many bytes may wait in an endpoint, where each datagram counts with its overhead.
// Beyond packetsAhead, reading pauses, and the kernel drops what does not fit in its own
// buffer; beyond packetsBehind, WriteTo waits.
const (
	packetsAhead  = 128 << 10
	packetsBehind = 64 << 10
	overhead      = 64
)

// PacketConn is a datagram endpoint on a loop that implements [net.PacketConn].
// ListenPacket returns it.
//
// WriteTo returns when the datagram has been accepted. If the kernel then reports an
// error for it, the next WriteTo returns that error, and its own datagram is not sent;
// the Addr of the error says which destination it is about. Sockets report late errors in
// the same way. WriteTo waits while more than the endpoint's high mark is waiting to be
// sent.
//
// Reads take turns, and so do writes. Errors are *[net.OpError] values, like those of a
// Conn.
type PacketConn struct {
	core[transport.DatagramTransport]

	// mu guards what follows.

	in           packets
	readErr      error // for the next read to return
	out          packets
	spare        []packet // for the list of out
	writeErr     error    // for the next write to return
	onlyV4, unix bool

	batch []transport.Datagram // the loop's goroutine
}

var _ net.PacketConn = (*PacketConn)(nil)

// ListenPacket makes a datagram endpoint on l. addr is "host:port" for network "udp",
// "udp4" or "udp6", or the path of a Unix datagram socket for "unixgram", where a leading
// '@' makes it an abstract name. With "udp", an empty host means all interfaces, of IPv6
// and IPv4, or of IPv4 alone if the machine has no IPv6. The endpoint is a *[PacketConn].
//
// If the loop is idle, ListenPacket runs it until it returns. The errors are like those
// of Listen.
func ListenPacket(l *loop.Loop, network, addr string) (net.PacketConn, error) {
	h, err := hubOf(l)
	if err != nil {
		return nil, opening("listen", network, err)
	}
	opts := &loop.DatagramOptions{Network: network, LocalAddr: addr}
	switch network {
	case "udp", "udp4", "udp6":
	case "unixgram":
		opts = &loop.DatagramOptions{LocalPath: addr}
	default:
		return nil, opening("listen", network, net.UnknownNetworkError(network))
	}
	if port, all := strings.CutPrefix(addr, ":"); all && network == "udp" {
		both := &loop.DatagramOptions{Network: "udp6", LocalAddr: "[::]:" + port}
		p, err := newPacketConn(h, network, both)
		switch {
		case err == nil:
			return p, nil
		case !errors.Is(err, syscall.EAFNOSUPPORT) && !errors.Is(err, syscall.EADDRNOTAVAIL):
			return nil, opening("listen", network, err)
		}
	}
	p, err := newPacketConn(h, network, opts)
	if err != nil {
		return nil, opening("listen", network, err)
	}
	return p, nil
}

func newPacketConn(h *hub, network string, opts *loop.DatagramOptions) (*PacketConn, error) {
	p := &PacketConn{}
	p.init(h, network, p)
	if _, err := h.loop.CreateDatagramEndpoint(context.Background(), (*endpoint)(p),
		opts); err != nil {
		return nil, err
	}
	return p, nil
}

// ReadFrom waits for a datagram, copies it to b, as far as it fits, and drops the rest.
// It returns the number of bytes copied and the sender, whose address is without a name
// if it has none.
func (p *PacketConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := p.readFrom(b)
	if err != nil {
		return 0, nil, err
	}
	if p.unix {
		return n, &net.UnixAddr{Name: from.Path, Net: p.network}, nil
	}
	return n, net.UDPAddrFromAddrPort(unmapped(from.AddrPort)), nil
}

// ReadFromUDPAddrPort is like ReadFrom, but returns an address that needs no allocation.
// On a Unix endpoint the address is invalid.
func (p *PacketConn) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	n, from, err := p.readFrom(b)
	return n, unmapped(from.AddrPort), err
}

// unmapped turns an IPv4 address that is mapped into IPv6 back into an IPv4 address.
func unmapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// WriteTo sends b, which is copied, as one datagram to a *net.UDPAddr or
// *net.UnixAddr.
//
// Errors besides those of the kernel: EMSGSIZE if b is too large for a datagram;
// *net.AddrError for an address of another kind or family.
func (p *PacketConn) WriteTo(b []byte, to net.Addr) (int, error) {
	switch a := to.(type) {
	case *net.UDPAddr:
		if a != nil && !p.unix {
			return p.writeTo(b, p.address(a.AddrPort(), len(a.IP) == 0), to)
		}
	case *net.UnixAddr:
		if a != nil && p.unix && a.Name != "" {
			return p.writeTo(b, transport.Addr{Path: a.Name}, to)
		}
	}
	text := ""
	if to != nil {
		text = to.String()
	}
	return 0, p.faultAt("write", to, &net.AddrError{Err: "unexpected kind of address", Addr: text})
}

// WriteToUDPAddrPort is like WriteTo, but takes an address that needs no allocation.
func (p *PacketConn) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	if p.unix {
		return p.WriteTo(b, net.UDPAddrFromAddrPort(to))
	}
	return p.writeTo(b, p.address(to, false), nil)
}

// address returns to in the address family of the socket, as far as it has one there.
// local says that there is no address, which means this machine.
func (p *PacketConn) address(to netip.AddrPort, local bool) transport.Addr {
	ip := to.Addr()
	switch {
	case local && p.onlyV4:
		ip = netip.IPv4Unspecified()
	case local:
		ip = netip.IPv6Unspecified()
	case p.onlyV4:
		ip = ip.Unmap()
	case ip.Is4():
		ip = netip.AddrFrom16(ip.As16())
	}
	return transport.Addr{AddrPort: netip.AddrPortFrom(ip, to.Port())}
}

// Close closes the endpoint and returns at once; datagrams already accepted are still
// sent. Waiting calls return net.ErrClosed. Error: net.ErrClosed when called again.
func (p *PacketConn) Close() error { return p.close() }

// unusable returns the reason why no read or write may begin or go on waiting, or nil. mu
// is held.
func (p *PacketConn) unusable(h *half) error {
	err := p.core.unusable(h)
	if err == nil && p.state == lost {
		return p.whyLost()
	}
	return err
}

// closing implements kind.
func (p *PacketConn) closing() { p.in.drop() }

// ended implements kind.
func (p *PacketConn) ended() {
	p.in.drop()
	p.out.drop()
}
