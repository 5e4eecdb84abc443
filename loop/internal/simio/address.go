package simio

import (
	"net/netip"
	"os"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// The ports that are given out to sockets that did not ask for one.
const (
	ephemeralFirst = 32768
	ephemeralCount = 28000
)

// pathMax is the longest path of a Unix socket (unix(7), less the final zero).
const pathMax = 107

// sysError is how the kernel's calls fail.
func sysError(call string, errno Errno) error { return os.NewSyscallError(call, errno) }

// familyOf returns the family of an address.
func familyOf(a transport.Addr) proactor.Family {
	switch {
	case a.Path != "":
		return proactor.Unix
	case a.Addr().Is4():
		return proactor.IPv4
	default:
		return proactor.IPv6
	}
}

// withPort returns a with another port.
func withPort(a transport.Addr, port uint16) transport.Addr {
	return transport.Addr{AddrPort: netip.AddrPortFrom(a.Addr(), port)}
}

// route says what becomes of something sent to a.
func (w *World) route(a transport.Addr) Route {
	ip := a.Addr()
	if a.Path != "" || ip.IsUnspecified() || ip.IsLoopback() {
		return Local
	}
	return w.routes[ip.String()]
}

// bindFile is bind(2).
func (w *World) bindFile(f *file, a transport.Addr) Errno {
	switch {
	case !f.local.IsZero() || f.stage != fresh:
		return syscall.EINVAL
	case a.IsZero() || len(a.Path) > pathMax:
		return syscall.EINVAL
	case familyOf(a) != f.family && !(f.family == proactor.IPv6 && a.Addr().Is4In6()):
		return syscall.EAFNOSUPPORT
	case w.route(a) != Local:
		return syscall.EADDRNOTAVAIL
	}
	if a.Path == "" && a.Port() == 0 {
		a = withPort(a, w.ephemeral(f, a))
	}
	for _, other := range w.bound {
		if f.conflicts(other, a) {
			return syscall.EADDRINUSE
		}
	}
	f.local = a
	w.bound = append(w.bound, f)
	return 0
}

// ephemeral returns a port that nobody has at a.
func (w *World) ephemeral(f *file, a transport.Addr) uint16 {
	for range ephemeralCount {
		port := w.nextPort
		w.nextPort++
		if w.nextPort >= ephemeralFirst+ephemeralCount {
			w.nextPort = ephemeralFirst
		}
		if !w.taken(f, withPort(a, port)) {
			return port
		}
	}
	panic("simio: every port is taken")
}

// taken reports whether anybody has address a, whatever the options.
func (w *World) taken(f *file, a transport.Addr) bool {
	for _, other := range w.bound {
		if other.kind == f.kind && other.local.Port() == a.Port() {
			return true
		}
	}
	return false
}

// conflicts reports whether other's address keeps f from having a.
func (f *file) conflicts(other *file, a transport.Addr) bool {
	if other.kind != f.kind || !overlap(f, a, other, other.local) {
		return false
	}
	if a.Path != "" {
		return true
	}
	both := func(o proactor.Option) bool { return f.options[o] != 0 && other.options[o] != 0 }
	if both(proactor.ReusePort) {
		return false
	}
	return !both(proactor.ReuseAddr) || other.stage == listening
}

// overlap reports whether two addresses have something in common: the same, or
// one of them all of its family. All of IPv6 is all of IPv4 too, unless V6Only.
func overlap(f *file, a transport.Addr, g *file, b transport.Addr) bool {
	if a.Path != "" || b.Path != "" {
		return a.Path == b.Path
	}
	return a.Port() == b.Port() && (covers(f, a, b) || covers(g, b, a))
}

// covers reports whether a socket f at a gets what is sent to b's IP address.
func covers(f *file, a, b transport.Addr) bool {
	ip, to := a.Addr().Unmap(), b.Addr().Unmap()
	switch {
	case ip == to:
		return true
	case !ip.IsUnspecified():
		return false
	case ip.Is4() == to.Is4():
		return true
	}
	return ip.Is6() && f.options[proactor.V6Only] == 0
}

// unbind gives up the address. A Unix socket's path goes with it: nobody can
// unlink it in a simulated file system.
func (f *file) unbind() {
	for i, other := range f.w.bound {
		if other == f {
			f.w.bound = append(f.w.bound[:i:i], f.w.bound[i+1:]...)
			return
		}
	}
}

// lookup returns who is to get what is sent to a: of several, with ReusePort, a
// random one; of those, exact addresses before wildcards.
func (w *World) lookup(k kind, a transport.Addr, fits func(*file) bool) *file {
	var exact, wild []*file
	for _, f := range w.bound {
		switch {
		case f.kind != k || !fits(f):
		case a.Path != "":
			if f.local.Path == a.Path {
				return f
			}
		case f.local.Path != "" || f.local.Port() != a.Port() || !covers(f, f.local, a):
		case f.local.Addr().IsUnspecified():
			wild = append(wild, f)
		default:
			exact = append(exact, f)
		}
	}
	if len(exact) == 0 {
		exact = wild
	}
	switch len(exact) {
	case 0:
		return nil
	case 1:
		return exact[0]
	}
	return exact[w.net.below(len(exact))]
}

// autobind gives f an address fit for talking to a.
func (w *World) autobind(f *file, a transport.Addr) Errno {
	if !f.local.IsZero() && !(f.local.IsValid() && f.local.Addr().IsUnspecified()) {
		return 0
	}
	if a.Path != "" {
		return 0
	}
	ip := a.Addr()
	if w.route(a) != Local || ip.IsUnspecified() {
		ip = loopbackFor(f.family)
	}
	from := transport.Addr{AddrPort: netip.AddrPortFrom(ip, f.local.Port())}
	if !f.local.IsZero() { // bound to all addresses: this one by now
		if f.kind == streamSocket {
			f.local = from
		}
		return 0
	}
	from = withPort(from, w.ephemeral(f, from))
	f.local = from
	w.bound = append(w.bound, f)
	return 0
}

// loopbackFor returns the loopback address of a family.
func loopbackFor(family proactor.Family) netip.Addr {
	if family == proactor.IPv6 {
		return netip.IPv6Loopback()
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}
