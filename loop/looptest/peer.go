package looptest

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/sluice-net/sluice/loop/internal/simio"
	"github.com/sluice-net/sluice/transport"
)

// Peer is the far end of a connection in a Network. It has no loop and no protocol: a
// test drives it step by step. It reads everything that arrives unless told otherwise.
// Its methods may be called from any goroutine and do not wait. The history is
// reproducible only if they are called on the loop's goroutine, that is from callbacks
// and from functions run with Do.
type Peer struct{ p *simio.Peer }

// Dial connects a peer to addr: "ip:port", or a Unix socket's path, which contains a
// slash or begins with an @. It returns at once; see Connected and Err. It panics if addr
// is not an address.
func (n *Network) Dial(addr string) *Peer {
	a, err := parseAddr(addr)
	if err != nil {
		panic(err)
	}
	return &Peer{n.sim.Dial(a)}
}

// Listener accepts connections for a test, each as a Peer.
type Listener struct{ s *simio.Service }

// Listen listens on addr, which has the same form as for Dial; port 0 means a free port.
// It calls accept on the loop's goroutine for each connection. Errors are of type
// syscall.Errno, such as EADDRINUSE, or say that addr is not an address.
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

// Addr returns the address that the listener listens on, in the form that Dial and
// CreateConnection take.
func (l *Listener) Addr() string { return l.s.Addr().String() }

// Close stops listening. Connections that have not been accepted are reset.
func (l *Listener) Close() { l.s.Close() }

// Notify makes the loop call f on its goroutine after each change: the connection was
// made, bytes or the end of the stream arrived, an error occurred, or everything was
// sent. nil turns it off.
func (p *Peer) Notify(f func()) { p.p.Notify(f) }

// Send sends a copy of b, after the data of earlier calls, as the other end makes room
// for it.
func (p *Peer) Send(b []byte) { p.p.Send(b) }

// CloseWrite sends FIN after everything that was given to Send.
func (p *Peer) CloseWrite() { p.p.CloseWrite() }

// Close closes the connection after everything that was given to Send has been taken. As
// in a kernel, closing with received bytes that have not been read resets the connection.
func (p *Peer) Close() { p.p.Close() }

// Reset closes the connection at once, with RST.
func (p *Peer) Reset() { p.p.Reset() }

// PauseReading leaves what arrives in the kernel, until its buffers are full and
// the other end can send no more.
func (p *Peer) PauseReading() { p.p.PauseReading() }

// ResumeReading ends PauseReading.
func (p *Peer) ResumeReading() { p.p.ResumeReading() }

// Connected reports whether the connection was ever made, even if it has ended since.
func (p *Peer) Connected() bool { return p.p.Connected() }

// Received returns everything read so far. Do not modify the slice.
func (p *Peer) Received() []byte { return p.p.Received() }

// Pending returns how many bytes given to Send the kernel has not taken yet.
func (p *Peer) Pending() int { return p.p.Pending() }

// EOF reports whether the other end has ended its stream in an orderly way.
func (p *Peer) EOF() bool { return p.p.EOF() }

// Err returns the first error that the peer met, a syscall.Errno, nil if none.
func (p *Peer) Err() error { return p.p.Err() }

// LocalAddr returns the peer's own address, or "" while it has none.
func (p *Peer) LocalAddr() string { return addrText(p.p.LocalAddr()) }

// RemoteAddr returns the address of the other end.
func (p *Peer) RemoteAddr() string { return addrText(p.p.RemoteAddr()) }

func addrText(a transport.Addr) string {
	if a.IsZero() {
		return ""
	}
	return a.String()
}

// parseAddr parses an address as Dial takes it.
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

// Route says what happens to connections to an address.
type Route uint8

// The routes.
const (
	Unreachable Route = iota // ENETUNREACH; every address but the loopback's at first
	Local                    // an address of this machine, which can be listened on and dialed
	Silent                   // nobody answers: ETIMEDOUT after two minutes
	Refusing                 // ECONNREFUSED after a round trip
)

// SetRoute sets what happens to connections to ip, which must be an address such as
// "192.0.2.1"; it panics if ip is anything else.
func (n *Network) SetRoute(ip string, r Route) {
	a := netip.AddrPortFrom(netip.MustParseAddr(ip), 0)
	n.sim.SetRoute(transport.Addr{AddrPort: a}, simio.Route(r))
}
