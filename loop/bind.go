package loop

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/opener"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/resolve"
	"github.com/sluice-net/sluice/transport"
)

// A binding is one call to CreateServer or CreateUnixServer.
//
//	resolving --addresses--> binding --EADDRINUSE--> pausing --> binding
//	                         binding --bound--> done
type binding struct {
	server *Server
	ctx    context.Context
	done   func(*Server, error)
	bind   func() error // binds all addresses, or none
	addrs  []netip.AddrPort
	path   string // set instead of addrs for a Unix server
	tries  int
}

func (b *binding) fail(err error) {
	for _, a := range b.server.acceptors {
		a.Close(nil)
	}
	b.server.removeFile()
	b.done(nil, err)
}

func (b *binding) start(addr string) {
	s := b.server
	if s.opts.Sock != nil {
		b.adopt(addr, false)
		return
	}
	b.bind = b.bindAll
	names := append([]string{addr}, s.opts.Addrs...)
	found := func(addrs []netip.AddrPort, err error) {
		if err != nil {
			b.fail(err)
			return
		}
		b.addrs = addrs
		b.try()
	}
	resolve.In(b.ctx, (*host)(s.loop), s.opts.Network, names, true, found)
}

// adopt serves on a socket that the user made. If unix is true, it must be a Unix socket.
func (b *binding) adopt(addr string, unix bool) {
	s := b.server
	if addr != "" || len(s.opts.Addrs) > 0 {
		b.fail(errors.New("loop: ServerOptions.Sock excludes an address"))
		return
	}
	fd, family, err := s.loop.adoptSocket(s.opts.Sock, s.kind, unix)
	if err != nil {
		b.fail(err)
		return
	}
	b.listenOn(fd, family)
	s.acceptors[0].Share()
	if unix {
		b.noteFile()
	}
	b.finish()
}

// try binds all addresses, or none.
func (b *binding) try() {
	err := b.ctx.Err()
	if b.server.loop.draining {
		err = ErrLoopClosed
	}
	if err == nil {
		err = b.bind()
	}
	switch {
	case err == nil:
		b.finish()
	case errors.Is(err, syscall.EADDRINUSE) && b.tries < opener.BindTries:
		b.tries++
		b.release()
		b.server.loop.CallLater(opener.BindPause, b.try)
	default:
		b.fail(err)
	}
}

// release closes what was bound so far.
func (b *binding) release() {
	s := b.server
	for _, a := range s.acceptors {
		a.Close(nil)
	}
	s.acceptors, s.addrs = nil, nil
}

// bindAll binds all addresses and, unless DeferServing is set, listens. It skips an
// address that the machine does not have, as long as another one can be bound.
func (b *binding) bindAll() error {
	s := b.server
	var skipped error
	port := uint16(0)
	for _, addr := range b.addrs {
		if addr.Port() == 0 && port != 0 {
			addr = netip.AddrPortFrom(addr.Addr(), port)
		}
		err := b.bindOne(addr)
		if errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) {
			skipped = err
			continue
		}
		if err != nil {
			return err
		}
		if tcp, ok := s.addrs[len(s.addrs)-1].(*net.TCPAddr); ok && port == 0 {
			port = uint16(tcp.Port)
		}
	}
	if len(s.acceptors) == 0 {
		return skipped
	}
	if s.opts.DeferServing {
		return nil
	}
	return s.start()
}

func (b *binding) bindOne(addr netip.AddrPort) error {
	engine := b.server.loop.engine
	family := opener.FamilyOf(addr)
	fd, err := engine.Socket(family, proactor.Stream)
	if err == nil {
		err = b.prepare(fd, family)
		if err == nil {
			err = engine.Bind(fd, transport.Addr{AddrPort: addr})
		}
		if err != nil {
			b.server.loop.drop(fd)
		}
	}
	if err != nil {
		return listenError(net.TCPAddrFromAddrPort(addr), err)
	}
	b.listenOn(fd, family)
	return nil
}

// prepare sets the options of a listener. Accepted sockets inherit NoDelay and
// KeepAlive (tcp(7)), which saves a call each.
func (b *binding) prepare(fd int, family proactor.Family) error {
	o := &b.server.opts
	set := []struct {
		on     bool
		option proactor.Option
	}{
		{!o.NoReuseAddress, proactor.ReuseAddr},
		{o.ReusePort, proactor.ReusePort},
		{o.KeepAlive, proactor.KeepAlive},
		{family == proactor.IPv6, proactor.V6Only},
		{true, proactor.NoDelay},
	}
	for _, opt := range set {
		if !opt.on {
			continue
		}
		if err := b.server.loop.engine.SetOption(fd, opt.option, 1); err != nil {
			return err
		}
	}
	return nil
}

// listenOn makes an acceptor for a bound descriptor.
func (b *binding) listenOn(fd int, family proactor.Family) {
	s := b.server
	local, err := s.loop.engine.LocalAddr(fd)
	if err != nil {
		local = transport.Addr{}
	}
	s.addrs = append(s.addrs, fdio.NetAddr(local, family, s.kind))
	s.acceptors = append(s.acceptors, fdio.NewAcceptor((*host)(s.loop), fd, s.opts.Backlog,
		func(fd int) { s.accepted(fd, family) }))
}

func (b *binding) finish() {
	s := b.server
	if !s.opts.DeferServing && !s.serving {
		if err := s.start(); err != nil {
			b.fail(err)
			return
		}
	}
	s.loop.open.Add(openServer{s})
	b.done(s, nil)
}

// listenError returns the error of CreateServer for an address that failed with err.
func listenError(addr net.Addr, err error) error {
	e := &net.OpError{Op: "listen", Addr: addr, Err: err}
	if addr != nil {
		e.Net = addr.Network()
	}
	return e
}

// adoptSocket takes over a socket that the user made. It must be of the kind want and, if
// unix is true, a Unix socket.
func (l *Loop) adoptSocket(f *os.File, want proactor.Kind, unix bool) (fd int,
	family proactor.Family, err error) {
	fd, err = l.engine.Adopt(f)
	if err != nil {
		return -1, 0, &net.OpError{Op: "file", Err: err}
	}
	wrong := ErrNotStream
	if want == proactor.SeqPacket {
		wrong, unix = ErrNotSeqPacket, true
	}
	family, kind, err := l.engine.Describe(fd)
	switch {
	case err != nil || kind != want:
		err = &net.OpError{Op: "file", Err: errors.Join(wrong, err)}
	case unix && family != proactor.Unix:
		err = &net.OpError{Op: "file", Net: "unix", Err: transport.ErrNotUnix}
	default:
		return fd, family, nil
	}
	l.drop(fd)
	return -1, 0, err
}
