package stream

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

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
	hub     *hub
	network string
	local   net.Addr
	done    chan struct{}

	readMu  sync.Mutex // held by the goroutine that reads
	writeMu sync.Mutex // held by the goroutine that writes

	mu             sync.Mutex // guards what follows
	state          state
	err            error // why it was lost
	reader, writer half
	asked, closed  bool

	in           packets
	stopped      bool  // reading is paused
	readErr      error // for the next read to return
	out          packets
	spare        []packet // for the list of out
	full         bool     // the transport asked to pause
	writeErr     error    // for the next write to return
	onlyV4, unix bool

	transport transport.DatagramTransport // the loop's goroutine
	batch     []transport.Datagram        // the loop's goroutine
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
		if p, err := newPacketConn(h, network, both); err == nil {
			return p, nil
		}
	}
	p, err := newPacketConn(h, network, opts)
	if err != nil {
		return nil, opening("listen", network, err)
	}
	return p, nil
}

func newPacketConn(h *hub, network string, opts *loop.DatagramOptions) (*PacketConn, error) {
	p := &PacketConn{hub: h, network: network, done: make(chan struct{})}
	p.reader.mu, p.writer.mu = &p.mu, &p.mu
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
	return 0, p.fault("write", to, &net.AddrError{Err: "unexpected kind of address", Addr: text})
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
func (p *PacketConn) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return p.fault("close", nil, net.ErrClosed)
	}
	p.closed = true
	p.in.drop()
	p.reader.stop()
	p.writer.stop()
	p.ask()
	return nil
}

// WaitClosed waits until the endpoint is closed and all accepted datagrams have been
// sent. It returns the error that ended the endpoint, nil if it ended in an orderly way,
// or ctx's error.
func (p *PacketConn) WaitClosed(ctx context.Context) error {
	if err := p.hub.await(ctx, p.done); err != nil {
		return p.fault("wait", nil, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		return nil
	}
	return p.fault("wait", nil, inner(p.err))
}

// LocalAddr returns the endpoint's address, even after the endpoint is gone.
func (p *PacketConn) LocalAddr() net.Addr {
	switch {
	case p.local != nil:
		return p.local
	case p.unix:
		return &net.UnixAddr{Net: p.network}
	}
	return &net.UDPAddr{}
}

// SetDeadline calls both SetReadDeadline and SetWriteDeadline.
func (p *PacketConn) SetDeadline(t time.Time) error {
	return p.setDeadlines(t, &p.reader, &p.writer)
}

// SetReadDeadline is like that of Conn, for ReadFrom.
func (p *PacketConn) SetReadDeadline(t time.Time) error { return p.setDeadlines(t, &p.reader) }

// SetWriteDeadline is like that of Conn, for WriteTo.
func (p *PacketConn) SetWriteDeadline(t time.Time) error { return p.setDeadlines(t, &p.writer) }

func (p *PacketConn) setDeadlines(t time.Time, halves ...*half) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return p.fault("set", nil, net.ErrClosed)
	}
	for _, h := range halves {
		h.setDeadline(t)
	}
	return nil
}

// SyscallConn returns access to the descriptor, like that of a Conn.
func (p *PacketConn) SyscallConn() (syscall.RawConn, error) {
	return rawConn{p.hub, func() transport.BaseTransport {
		if p.transport == nil {
			return nil
		}
		return p.transport
	}}, nil
}

// ask makes the loop call serve on its goroutine. mu is held.
func (p *PacketConn) ask() {
	if !p.asked {
		p.asked = true
		p.hub.ask(p)
	}
}

// fault returns the error of an operation.
func (p *PacketConn) fault(op string, to net.Addr, err error) error {
	return &net.OpError{Op: op, Net: p.network, Source: p.local, Addr: to, Err: err}
}

// unusable returns the reason why no read or write may begin or go on waiting, or nil. mu
// is held.
func (p *PacketConn) unusable(h *half) error {
	switch {
	case p.closed:
		return net.ErrClosed
	case h.expired():
		return os.ErrDeadlineExceeded
	case p.state == lost && p.err != nil:
		return inner(p.err)
	case p.state == lost:
		return net.ErrClosed
	}
	return nil
}

// end handles the end of the endpoint.
func (p *PacketConn) end(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == lost {
		return
	}
	p.state, p.err = lost, err
	if errors.Is(err, net.ErrClosed) {
		p.err = net.ErrClosed
	}
	p.in.drop()
	p.out.drop()
	p.reader.stop()
	p.writer.stop()
	close(p.done)
}

// loopClosed implements member.
func (p *PacketConn) loopClosed() { p.end(loop.ErrLoopClosed) }
