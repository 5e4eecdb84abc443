package looptest

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/sluice-net/sluice/loop/internal/simio"
	"github.com/sluice-net/sluice/transport"
)

// Peer is the far end of a connection in a Network: no loop and no protocol,
// a test drives it step by step. It reads all that arrives unless told
// otherwise. Its methods may be called from any goroutine and do not wait; with
// a history that is the same twice only from the loop's goroutine, that is from
// callbacks and from functions run with Do.
type Peer struct{ p *simio.Peer }

// Dial connects a peer to addr: "ip:port", or a Unix socket's path, which has a
// slash in it or an @ before it. It returns at once; see Connected and Err. It
// panics at what is no address.
func (n *Network) Dial(addr string) *Peer {
	a, err := parseAddr(addr)
	if err != nil {
		panic(err)
	}
	return &Peer{n.sim.Dial(a)}
}

// Listener takes connections for a test: each is a Peer.
type Listener struct{ s *simio.Service }

// Listen listens at addr, as Dial takes it, where port 0 means a free one, and
// calls accept on the loop's goroutine for each connection. Errors are of type
// syscall.Errno, such as EADDRINUSE, or say that addr is none.
func (n *Network) Listen(addr string, accept func(*Peer)) (*Listener, error) {
	a, err := parseAddr(addr)
	if err != nil {
		return nil, err
	}
	s, err := n.sim.Serve(a, func(p *simio.Peer) { accept(&Peer{p}) })
	if err != nil {
		return nil, err
	}
	return &Listener{s}, nil
}

// Addr is where it listens, as Dial and CreateConnection take it.
func (l *Listener) Addr() string { return l.s.Addr().String() }

// Close stops listening. Connections that were not accepted are reset.
func (l *Listener) Close() { l.s.Close() }

// Notify has f called on the loop's goroutine after something changed:
// connected, bytes arrived, the end, an error, all sent. nil ends that.
func (p *Peer) Notify(f func()) { p.p.Notify(f) }

// Send sends a copy of b, after what was given to it before, as the other end
// makes room for it.
func (p *Peer) Send(b []byte) { p.p.Send(b) }

// CloseWrite sends FIN after all that was given to Send.
func (p *Peer) CloseWrite() { p.p.CloseWrite() }

// Close closes after all that was given to Send was taken. As in a kernel, a
// close with bytes that arrived and were not read is a reset.
func (p *Peer) Close() { p.p.Close() }

// Reset closes with RST, now.
func (p *Peer) Reset() { p.p.Reset() }

// PauseReading leaves what arrives in the kernel, until its buffers are full and
// the other end can send no more.
func (p *Peer) PauseReading() { p.p.PauseReading() }

// ResumeReading ends PauseReading.
func (p *Peer) ResumeReading() { p.p.ResumeReading() }

// Connected reports whether the connection was made, whatever became of it.
func (p *Peer) Connected() bool { return p.p.Connected() }

// Received returns all that was read so far. Do not write to it.
func (p *Peer) Received() []byte { return p.p.Received() }

// Pending is how many bytes given to Send the kernel has not taken.
func (p *Peer) Pending() int { return p.p.Pending() }

// EOF reports whether the other end has ended its stream in order.
func (p *Peer) EOF() bool { return p.p.EOF() }

// Err returns the first error that the peer met, a syscall.Errno, nil if none.
func (p *Peer) Err() error { return p.p.Err() }

// LocalAddr is the peer's own address, "" while it has none.
func (p *Peer) LocalAddr() string { return addrText(p.p.LocalAddr()) }

// RemoteAddr is the address at the other end.
func (p *Peer) RemoteAddr() string { return addrText(p.p.RemoteAddr()) }

func addrText(a transport.Addr) string {
	if a.IsZero() {
		return ""
	}
	return a.String()
}

// parseAddr parses what Dial takes.
func parseAddr(addr string) (transport.Addr, error) {
	if strings.Contains(addr, "/") || strings.HasPrefix(addr, "@") {
		return transport.Addr{Path: addr}, nil
	}
	a, err := netip.ParseAddrPort(addr)
	if err != nil {
		return transport.Addr{}, fmt.Errorf("looptest: parse address: %w", err)
	}
	return transport.Addr{AddrPort: a}, nil
}

// Route is what becomes of connections to an address.
type Route uint8

// The routes.
const (
	Unreachable Route = iota // ENETUNREACH; every address but the loopback's at first
	Local                    // one of this machine's: may be listened on and dialed
	Silent                   // nobody answers: ETIMEDOUT after two minutes
	Refusing                 // ECONNREFUSED after the way there and back
)

// SetRoute sets what becomes of connections to ip, which must be an address such
// as "192.0.2.1"; it panics at anything else.
func (n *Network) SetRoute(ip string, r Route) {
	a := netip.AddrPortFrom(netip.MustParseAddr(ip), 0)
	n.sim.SetRoute(transport.Addr{AddrPort: a}, simio.Route(r))
}
