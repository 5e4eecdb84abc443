package opener

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/registry"
	"github.com/sluice-net/sluice/loop/internal/resolve"
	"github.com/sluice-net/sluice/transport"
)

// ListenOptions are those of package loop's UnixServerOptions that concern the sockets.
// They are described there.
type ListenOptions struct {
	Network         string      // the family, or "unixpacket"
	Addrs           []string    // besides the one given by itself
	Sock            *os.File    // instead of an address
	Backlog         int         // length of the queue
	ReusePort       bool        // SO_REUSEPORT
	NoReuseAddress  bool        // no SO_REUSEADDR
	KeepAlive       bool        // SO_KEEPALIVE
	DeferServing    bool        // bind only
	Mode            fs.FileMode // of a Unix socket's file, 0: what the umask leaves
	ProbeSocket     bool        // EADDRINUSE if somebody serves at the path
	NoCleanupSocket bool        // no File
}

// Listener is a bound socket.
type Listener struct {
	FD     int             // belongs to whoever got the Listener
	Family proactor.Family // of its address
	Addr   net.Addr        // where it is bound

	listening bool
}

// Listeners are the sockets of one server.
type Listeners struct {
	All  []Listener
	File *File // that the server has to remove in the end, or nil
}

// Listen makes those sockets listen that do not yet.
func (l *Listeners) Listen(host Host, backlog int) error {
	for i := range l.All {
		s := &l.All[i]
		if s.listening {
			continue
		}
		if err := host.Engine().Listen(s.FD, backlog); err != nil {
			return listenError(s.Addr, err)
		}
		s.listening = true
	}
	return nil
}

// Listened is called once, on the loop's goroutine, with the sockets of a server, which
// belong to it and listen unless DeferServing is set, or with the reason why there are
// none.
type Listened func(sockets Listeners, err error)

// A binding is one call to Listen or ListenUnix.
//
//	resolving --addresses--> binding --EADDRINUSE--> pausing --> binding
//	                         binding --bound--> done
type binding struct {
	host  Host
	ctx   context.Context
	opts  ListenOptions
	kind  proactor.Kind // of the sockets
	done  Listened
	bind  func() error // binds all addresses
	addrs []netip.AddrPort
	path  string // set instead of addrs for a Unix server
	tries int
	made  Listeners // so far
}

func newBinding(ctx context.Context, host Host, o ListenOptions, done Listened) *binding {
	return &binding{host: host, ctx: ctx, opts: o, kind: KindOf(o.Network), done: done}
}

// Listen binds sockets to addr, "host:port", and to o's addresses, or adopts the socket in
// o, and listens. done may be called before Listen returns.
func Listen(ctx context.Context, host Host, addr string, o ListenOptions,
	done Listened) {
	b := newBinding(ctx, host, o, done)
	if o.Sock != nil {
		b.adopt(addr, false)
		return
	}
	b.bind = b.bindAll
	names := append([]string{addr}, o.Addrs...)
	found := func(addrs []netip.AddrPort, err error) {
		if err != nil {
			b.fail(err)
			return
		}
		b.addrs = addrs
		b.try()
	}
	resolve.In(ctx, host, o.Network, names, true, found)
}

func (b *binding) fail(err error) {
	b.release()
	b.done(Listeners{}, err)
}

// adopt listens on a socket that the user made. If unix is true, it must be a Unix socket.
func (b *binding) adopt(addr string, unix bool) {
	if addr != "" || len(b.opts.Addrs) > 0 {
		b.fail(errors.New("loop: ServerOptions.Sock excludes an address"))
		return
	}
	fd, family, err := adoptSocket(b.host, b.opts.Sock, b.kind, unix)
	if err != nil {
		b.fail(err)
		return
	}
	b.add(fd, family)
	err = b.ctx.Err()
	if b.host.Ending() {
		err = registry.ErrLoopClosed
	}
	if err == nil {
		err = b.listen()
	}
	if err != nil {
		b.fail(err)
		return
	}
	if unix {
		b.noteFile() // not before it listens: the file may be that of another socket
	}
	b.done(b.made, nil)
}

// try binds all addresses and listens, or leaves nothing behind.
func (b *binding) try() {
	err := b.ctx.Err()
	if b.host.Ending() {
		err = registry.ErrLoopClosed
	}
	if err == nil {
		err = b.bind()
	}
	if err == nil {
		err = b.listen()
	}
	switch {
	case err == nil:
		b.done(b.made, nil)
	case errors.Is(err, syscall.EADDRINUSE) && b.tries < BindTries:
		b.tries++
		b.release()
		b.host.After(BindPause, b.try)
	default:
		b.fail(err)
	}
}

// listen makes the sockets listen, unless DeferServing is set.
func (b *binding) listen() error {
	if b.opts.DeferServing {
		return nil
	}
	return b.made.Listen(b.host, b.opts.Backlog)
}

// release closes what was bound so far.
func (b *binding) release() {
	for _, s := range b.made.All {
		b.host.Drop(s.FD)
	}
	b.made.File.Remove(b.host)
	b.made = Listeners{}
}

// bindAll binds all addresses. It skips an address that the machine does not have, as long
// as another one can be bound.
func (b *binding) bindAll() error {
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
		last := b.made.All[len(b.made.All)-1]
		if tcp, ok := last.Addr.(*net.TCPAddr); ok && port == 0 {
			port = uint16(tcp.Port)
		}
	}
	if len(b.made.All) == 0 {
		return skipped
	}
	return nil
}

func (b *binding) bindOne(addr netip.AddrPort) error {
	engine := b.host.Engine()
	family := FamilyOf(addr)
	fd, err := engine.Socket(family, proactor.Stream)
	if err == nil {
		err = b.prepare(fd, family)
		if err == nil {
			err = engine.Bind(fd, transport.Addr{AddrPort: addr})
		}
		if err != nil {
			b.host.Drop(fd)
		}
	}
	if err != nil {
		return listenError(net.TCPAddrFromAddrPort(addr), err)
	}
	b.add(fd, family)
	return nil
}

// prepare sets the options of a listener. Accepted sockets inherit NoDelay and
// KeepAlive (tcp(7)), which saves a call each.
func (b *binding) prepare(fd int, family proactor.Family) error {
	o := &b.opts
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
		if err := b.host.Engine().SetOption(fd, opt.option, 1); err != nil {
			return err
		}
	}
	return nil
}

// add adds a bound descriptor to the sockets.
func (b *binding) add(fd int, family proactor.Family) {
	local, err := b.host.Engine().LocalAddr(fd)
	if err != nil {
		local = transport.Addr{}
	}
	b.made.All = append(b.made.All, Listener{FD: fd, Family: family,
		Addr: fdio.NetAddr(local, family, b.kind)})
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
func adoptSocket(host Host, f *os.File, want proactor.Kind, unix bool) (fd int,
	family proactor.Family, err error) {
	fd, err = host.Engine().Adopt(f)
	if err != nil {
		return -1, 0, &net.OpError{Op: "file", Err: err}
	}
	wrong := ErrNotStream
	if want == proactor.SeqPacket {
		wrong, unix = ErrNotSeqPacket, true
	}
	family, kind, err := host.Engine().Describe(fd)
	switch {
	case err != nil || kind != want:
		err = &net.OpError{Op: "file", Err: errors.Join(wrong, err)}
	case unix && family != proactor.Unix:
		err = &net.OpError{Op: "file", Net: "unix", Err: transport.ErrNotUnix}
	default:
		return fd, family, nil
	}
	host.Drop(fd)
	return -1, 0, err
}
