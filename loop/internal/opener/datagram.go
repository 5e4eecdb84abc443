package opener

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/registry"
	"github.com/sluice-net/sluice/loop/internal/resolve"
	"github.com/sluice-net/sluice/transport"
)

// DatagramOptions are those of package loop, where their meaning is said.
type DatagramOptions struct {
	LocalAddr             string       // "host:port" to receive at
	RemoteAddr            string       // of the peer
	LocalPath, RemotePath string       // the same of Unix sockets
	Network               string       // the family
	Sock                  *os.File     // instead of addresses
	ReusePort             bool         // SO_REUSEPORT
	Broadcast             bool         // SO_BROADCAST
	JoinGroups            []netip.Addr // multicast groups
	Interface             string       // of the groups
	MulticastTTL          int          // 0: the kernel's
	NoMulticastLoop       bool         // not to this machine
	SendBuffer            int          // bytes, 0: the kernel's
	ReceiveBuffer         int          // bytes, 0: the kernel's
	WriteCap              int          // bytes, 0: no bound
	GSO, GRO              bool         // UDP_SEGMENT, UDP_GRO
	RecvErr               bool         // IP_RECVERR
}

// datagramBinding is one call of Datagram.
//
//	resolving --addresses--> trying each --EADDRINUSE--> pausing --> trying each
//	                         trying each --first that works | error--> done
type datagramBinding struct {
	host Host
	ctx  context.Context
	opts DatagramOptions
	done func(fdio.DatagramConfig, error)

	locals, remotes []netip.AddrPort
	tries           int
}

// Datagram opens the socket of an endpoint. done is called once, on the loop's
// goroutine, possibly before Datagram returns: with what the endpoint is to be made of,
// except its protocol and its owner, or with why there is no socket.
func Datagram(ctx context.Context, host Host, o DatagramOptions,
	done func(fdio.DatagramConfig, error)) {
	b := &datagramBinding{host: host, ctx: ctx, opts: o, done: done}
	b.start()
}

// ends are the two addresses of an endpoint, zero where there is none.
type ends struct {
	family        proactor.Family
	local, remote transport.Addr
}

func (b *datagramBinding) start() {
	o := &b.opts
	hasAddr, hasPath := o.LocalAddr+o.RemoteAddr+o.Network != "", o.LocalPath+o.RemotePath != ""
	switch {
	case o.Sock != nil:
		b.adopt()
	case hasAddr && hasPath:
		b.fail(errors.New("loop: DatagramOptions has both addresses and paths"))
	case hasPath:
		b.startUnix()
	case !hasAddr:
		b.fail(errors.New("loop: DatagramOptions has no address, path, network or socket"))
	case o.Network != "" && o.Network != "udp" && o.Network != "udp4" && o.Network != "udp6":
		b.fail(net.UnknownNetworkError(o.Network))
	default:
		b.resolve()
	}
}

// adopt makes an endpoint of a socket that the user made.
func (b *datagramBinding) adopt() {
	if others := b.besidesSock(); len(others) > 0 {
		b.fail(fmt.Errorf("loop: DatagramOptions.Sock excludes %s",
			strings.Join(others, ", ")))
		return
	}
	engine := b.host.Engine()
	fd, err := engine.Adopt(b.opts.Sock)
	if err != nil {
		b.fail(&net.OpError{Op: "file", Err: err})
		return
	}
	family, kind, err := engine.Describe(fd)
	if err != nil || kind != proactor.Datagram {
		b.host.Drop(fd)
		b.fail(&net.OpError{Op: "file", Err: errors.Join(ErrNotDatagram, err)})
		return
	}
	b.finish(fd, ends{family: family})
}

// besidesSock are the names of the fields that do not go with a socket.
func (b *datagramBinding) besidesSock() []string {
	o := &b.opts
	var names []string
	for _, f := range []struct {
		set  bool
		name string
	}{
		{o.LocalAddr != "", "LocalAddr"}, {o.RemoteAddr != "", "RemoteAddr"},
		{o.LocalPath != "", "LocalPath"}, {o.RemotePath != "", "RemotePath"},
		{o.Network != "", "Network"}, {o.ReusePort, "ReusePort"}, {o.Broadcast, "Broadcast"},
		{len(o.JoinGroups) > 0, "JoinGroups"}, {o.Interface != "", "Interface"},
		{o.MulticastTTL != 0, "MulticastTTL"}, {o.NoMulticastLoop, "NoMulticastLoop"},
		{o.SendBuffer != 0, "SendBuffer"}, {o.ReceiveBuffer != 0, "ReceiveBuffer"},
	} {
		if f.set {
			names = append(names, f.name)
		}
	}
	return names
}

// resolve looks up both addresses, those that are asked for.
func (b *datagramBinding) resolve() {
	b.lookup(b.opts.LocalAddr, true, &b.locals, func() {
		b.lookup(b.opts.RemoteAddr, false, &b.remotes, func() { b.try(b.pairs()) })
	})
}

func (b *datagramBinding) lookup(name string, passive bool, found *[]netip.AddrPort,
	then func()) {
	if name == "" {
		then()
		return
	}
	resolve.All(b.ctx, b.host, "udp", []string{name}, passive,
		func(addrs []netip.AddrPort, err error) {
			if err == nil {
				err = b.ctx.Err()
			}
			if err != nil {
				b.fail(err)
				return
			}
			*found = addrs
			then()
		})
}

// try makes an endpoint of the first pair that works. Otherwise the first
// error is told. A port in use is tried again for a while, as CreateServer does:
// that of a process that has just ended is free a little later.
func (b *datagramBinding) try(pairs []ends) {
	first := b.ctx.Err()
	if b.host.Ending() {
		first = registry.ErrLoopClosed
	}
	if first != nil {
		b.fail(first)
		return
	}
	for _, e := range pairs {
		fd, err := b.open(e)
		if err == nil {
			b.finish(fd, e)
			return
		}
		if first == nil {
			first = err
		}
	}
	switch {
	case first == nil:
		b.fail(fmt.Errorf("%w: local %q and remote %q have no family in common",
			resolve.ErrNoAddress, b.opts.LocalAddr, b.opts.RemoteAddr))
	case errors.Is(first, syscall.EADDRINUSE) && b.tries < BindTries &&
		!b.host.OnDisk(b.opts.LocalPath):
		b.tries++
		b.host.After(BindPause, func() { b.try(pairs) })
	default:
		b.fail(first)
	}
}

// pairs are the addresses that go together, in the resolver's order.
func (b *datagramBinding) pairs() []ends {
	locals, remotes := b.wanted(b.opts.LocalAddr, b.locals), b.wanted(b.opts.RemoteAddr, b.remotes)
	var out []ends
	for _, local := range locals {
		for _, remote := range remotes {
			if local.family == remote.family {
				out = append(out, ends{local.family, local.local, remote.local})
			}
		}
	}
	return out
}

// wanted are the addresses of a name in the families that Network allows: for no
// name one without an address in each. They are in the field local.
func (b *datagramBinding) wanted(name string, addrs []netip.AddrPort) []ends {
	all := []ends{{family: proactor.IPv4}, {family: proactor.IPv6}}
	if name != "" {
		all = all[:0]
		for _, a := range addrs {
			all = append(all, ends{family: FamilyOf(a), local: transport.Addr{AddrPort: a}})
		}
	}
	var out []ends
	for _, e := range all {
		other := b.opts.Network == "udp6" && e.family == proactor.IPv4 ||
			b.opts.Network == "udp4" && e.family == proactor.IPv6
		if !other {
			out = append(out, e)
		}
	}
	return out
}

// startUnix makes an endpoint of paths.
func (b *datagramBinding) startUnix() {
	e := ends{family: proactor.Unix}
	for _, p := range []struct {
		path string
		addr *transport.Addr
	}{{b.opts.LocalPath, &e.local}, {b.opts.RemotePath, &e.remote}} {
		if p.path == "" {
			continue
		}
		name, err := UnixName(p.path)
		if err != nil {
			err = os.NewSyscallError("bind", err)
			b.fail(b.opError("listen", transport.Addr{Path: p.path}, e.family, err))
			return
		}
		p.addr.Path = name
	}
	b.try([]ends{e})
}

// open makes the socket.
func (b *datagramBinding) open(e ends) (fd int, err error) {
	engine := b.host.Engine()
	fd, err = engine.Socket(e.family, proactor.Datagram)
	if err != nil {
		return -1, b.opError("listen", e.local, e.family, err)
	}
	if err = b.prepare(fd, e.family); err == nil && !e.local.IsZero() {
		err = b.bind(fd, e.local)
	}
	if err != nil {
		b.host.Drop(fd)
		return -1, b.opError("listen", e.local, e.family, err)
	}
	if !e.remote.IsZero() && !b.opts.Broadcast {
		if err := engine.ConnectDatagram(fd, e.remote); err != nil {
			b.host.Drop(fd)
			if e.local.Path != "" && b.host.OnDisk(e.local.Path) {
				_ = os.Remove(e.local.Path) // it was made by bind
			}
			return -1, b.opError("dial", e.remote, e.family, err)
		}
	}
	return fd, nil
}

// bind binds the socket, for a path after the file of one that is gone was
// removed.
func (b *datagramBinding) bind(fd int, local transport.Addr) error {
	err := b.host.Engine().Bind(fd, local)
	if errors.Is(err, syscall.EADDRINUSE) && b.host.OnDisk(local.Path) && b.stale(local) {
		if err := os.Remove(local.Path); err != nil {
			return err
		}
		err = b.host.Engine().Bind(fd, local)
	}
	return err
}

// stale reports whether there is a socket file at a path that nobody is bound to.
func (b *datagramBinding) stale(local transport.Addr) bool {
	info, err := os.Lstat(local.Path)
	if err != nil || !IsSocket(info) {
		return false
	}
	engine := b.host.Engine()
	fd, err := engine.Socket(proactor.Unix, proactor.Datagram)
	if err != nil {
		return false
	}
	defer b.host.Drop(fd)
	return errors.Is(engine.ConnectDatagram(fd, local), syscall.ECONNREFUSED)
}

// finish hands over a socket that is ready.
func (b *datagramBinding) finish(fd int, e ends) {
	if b.host.Ending() {
		b.host.Drop(fd)
		b.fail(registry.ErrLoopClosed)
		return
	}
	c := fdio.DatagramConfig{FD: fd, Remote: e.remote, Unix: e.family == proactor.Unix,
		WriteCap: b.opts.WriteCap}
	if !c.Unix {
		b.offload(&c, e.family)
	}
	engine := b.host.Engine()
	if a, err := engine.LocalAddr(fd); err == nil {
		c.Local = fdio.NetAddr(a, e.family, proactor.Datagram)
	}
	if a, err := engine.RemoteAddr(fd); err == nil {
		c.Connected, c.Remote = true, a
		c.Peer = fdio.NetAddr(a, e.family, proactor.Datagram)
	}
	b.done(c, nil)
}

func (b *datagramBinding) fail(err error) { b.done(fdio.DatagramConfig{}, err) }

// opError is the error of a call about an address.
func (b *datagramBinding) opError(op string, a transport.Addr, family proactor.Family,
	err error) error {
	e := &net.OpError{Op: op, Net: "udp", Addr: fdio.NetAddr(a, family, proactor.Datagram),
		Err: err}
	if family == proactor.Unix {
		e.Net = "unixgram"
	}
	return e
}
