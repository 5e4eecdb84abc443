package opener

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/registry"
	"github.com/sluice-net/sluice/loop/internal/resolve"
	"github.com/sluice-net/sluice/transport"
)

// eyeballsDelay is the Connection Attempt Delay that RFC 8305 recommends.
const eyeballsDelay = 250 * time.Millisecond

// ConnectOptions are those of package loop's ConnectionOptions that concern the
// descriptor. They are described there.
type ConnectOptions struct {
	Network            string        // the family, or "unixpacket"
	LocalAddr          string        // "host:port" to connect from
	Sock               *os.File      // instead of an address
	HappyEyeballsDelay time.Duration // 0: RFC 8305's, negative: for ever
	Interleave         int           // addresses of the first family before the other's
	AllErrors          bool          // joined, instead of the first
	KeepAlive          bool          // SO_KEEPALIVE
}

// Connected is called once, on the loop's goroutine, with a connected descriptor, which
// belongs to it, or with the reason why there is none.
type Connected func(fd int, family proactor.Family, err error)

// Connect connects to addr, "host:port", or adopts the socket in o. done may be called
// before Connect returns.
func Connect(ctx context.Context, host Host, addr string, o ConnectOptions,
	done Connected) {
	d := newDial(ctx, host, o, done)
	if o.Sock != nil {
		d.adopt(addr, false)
		return
	}
	d.resolve(addr)
}

// AdoptConnected is Connect for the socket in o, which somebody else has connected or
// accepted.
func AdoptConnected(host Host, o ConnectOptions, done Connected) {
	newDial(context.Background(), host, o, done).adopt("", false)
}

// A dial is one call to Connect or ConnectUnix.
//
//	resolving --addresses--> racing --first connected--> settling --> done
//	                         racing --all failed--------> done
//	resolving | racing --ctx ends--> settling --losers cancelled--> done
//
// The end of the loop has the same effect as the end of ctx. racing: attempts are started
// one by one, the next one when an attempt fails or after the delay. settling: the losers
// are being cancelled; done is called only when the kernel has released all of them, so
// that nothing leaks.
type dial struct {
	host Host
	ctx  context.Context
	opts ConnectOptions
	done Connected

	path     string           // set instead of addrs for a Unix socket
	kind     proactor.Kind    // of the socket
	addrs    []netip.AddrPort // not yet tried
	locals   []netip.AddrPort // of LocalAddr
	attempts []*fdio.Connector
	errs     []error
	timer    fdio.Timer
	stop     func()
	winner   int // descriptor, -1 for none
	family   proactor.Family
	settling bool
	finished bool
}

func newDial(ctx context.Context, host Host, o ConnectOptions, done Connected) *dial {
	return &dial{host: host, ctx: ctx, opts: o, done: done, kind: KindOf(o.Network),
		winner: -1}
}

// resolve looks up addr, and LocalAddr if it is set.
func (d *dial) resolve(addr string) {
	names := []string{addr}
	then := func(addrs []netip.AddrPort, err error) {
		if err == nil {
			err = d.ctx.Err()
		}
		if err != nil {
			d.fail(err)
			return
		}
		d.addrs = interleave(addrs, d.opts.Interleave)
		if d.opts.LocalAddr == "" {
			d.race()
			return
		}
		d.resolveLocal()
	}
	resolve.In(d.ctx, d.host, d.opts.Network, names, false, then)
}

func (d *dial) resolveLocal() {
	resolve.All(d.ctx, d.host, "tcp", []string{d.opts.LocalAddr}, true,
		func(addrs []netip.AddrPort, err error) {
			if err != nil {
				d.fail(err)
				return
			}
			d.locals = addrs
			d.race()
		})
}

// race starts the first attempt.
func (d *dial) race() {
	if d.enlist() {
		d.next()
	}
}

// enlist makes d end when the loop or ctx ends. It reports whether d may go on: not if
// the loop is shutting down.
func (d *dial) enlist() bool {
	if d.host.Ending() {
		d.fail(registry.ErrLoopClosed)
		return false
	}
	d.host.Opened(d)
	d.stop = d.host.WhenDone(d.ctx, func() { d.settle(d.ctx.Err()) })
	return true
}

// next starts an attempt with the next address for which one can be started.
func (d *dial) next() {
	for len(d.addrs) > 0 && !d.settling {
		addr := d.addrs[0]
		d.addrs = d.addrs[1:]
		if err := d.attempt(addr); err != nil {
			d.errs = append(d.errs, dialError(net.TCPAddrFromAddrPort(addr), err))
			continue
		}
		if delay := d.delay(); delay >= 0 && len(d.addrs) > 0 {
			d.timer = d.host.After(delay, d.next)
		}
		return
	}
	if len(d.attempts) == 0 {
		d.finish()
	}
}

func (d *dial) delay() time.Duration {
	if d.opts.HappyEyeballsDelay == 0 {
		return eyeballsDelay
	}
	return d.opts.HappyEyeballsDelay
}

// attempt makes a socket and begins to connect it.
func (d *dial) attempt(addr netip.AddrPort) error {
	engine := d.host.Engine()
	family := FamilyOf(addr)
	fd, err := engine.Socket(family, proactor.Stream)
	if err != nil {
		return err
	}
	if err := d.bind(fd, family); err != nil {
		d.host.Drop(fd)
		return err
	}
	var c *fdio.Connector
	c = fdio.NewConnector(engine, fd, transport.Addr{AddrPort: addr},
		func(errno syscall.Errno) {
			d.attempted(c, fd, family, net.TCPAddrFromAddrPort(addr), errno)
		})
	d.attempts = append(d.attempts, c)
	return nil
}

// bind binds to the first local address of the socket's family.
func (d *dial) bind(fd int, family proactor.Family) error {
	if d.opts.LocalAddr == "" {
		return nil
	}
	for _, local := range d.locals {
		if FamilyOf(local) != family {
			continue
		}
		if local.Port() == 0 {
			// Best effort (Linux 4.2): let connect choose the port, so that one
			// port serves several peers.
			_ = d.host.Engine().SetOption(fd, proactor.BindNoPort, 1)
		}
		return d.host.Engine().Bind(fd, transport.Addr{AddrPort: local})
	}
	return errors.Join(resolve.ErrNoAddress,
		errors.New("LocalAddr has no address of the peer's family"))
}

// attempted handles the end of one attempt.
func (d *dial) attempted(c *fdio.Connector, fd int, family proactor.Family,
	addr net.Addr, errno syscall.Errno) {
	d.attempts = slices.DeleteFunc(d.attempts, func(x *fdio.Connector) bool { return x == c })
	switch {
	case errno == 0 && d.winner < 0 && !d.settling:
		d.winner, d.family = fd, family
		d.settle(nil)
	case errno == 0:
		d.host.Drop(fd)
		d.finishIfSettled()
	case d.settling:
		d.finishIfSettled()
	default:
		d.errs = append(d.errs, dialError(addr, os.NewSyscallError("connect", errno)))
		d.stopTimer()
		d.next()
	}
}

// settle cancels the attempts that are still under way. err is the reason, nil if there
// is a winner.
func (d *dial) settle(err error) {
	if d.settling {
		return
	}
	d.settling = true
	if err != nil {
		d.errs = []error{err}
	}
	d.stopTimer()
	for _, c := range slices.Clone(d.attempts) {
		c.Cancel()
	}
	d.finishIfSettled()
}

func (d *dial) finishIfSettled() {
	if d.settling && len(d.attempts) == 0 {
		d.finish()
	}
}

func (d *dial) stopTimer() {
	if d.timer != nil {
		d.timer.Cancel()
	}
}

// Close implements registry.Resource: it gives up a connection that is still being made.
func (d *dial) Close() error {
	d.settle(registry.ErrLoopClosed)
	return nil
}

// Fail implements registry.Resource.
func (d *dial) Fail(err error) { d.settle(err) }

// Abandon implements registry.Resource.
func (d *dial) Abandon() {}

// Gone implements registry.Resource.
func (d *dial) Gone() bool { return d.finished }

// Descriptors implements registry.Resource.
func (d *dial) Descriptors(fds []int) []int {
	for _, c := range d.attempts {
		fds = append(fds, c.FD())
	}
	if d.winner >= 0 {
		fds = append(fds, d.winner)
	}
	return fds
}

// finish calls done.
func (d *dial) finish() {
	d.stop()
	d.finished = true
	defer d.host.Closed(d)
	switch {
	case d.winner >= 0:
		d.handOver(d.winner, d.family)
	case len(d.errs) == 0:
		d.fail(resolve.ErrNoAddress)
	case d.opts.AllErrors:
		d.fail(errors.Join(d.errs...))
	default:
		d.fail(d.errs[0])
	}
}

func (d *dial) fail(err error) { d.done(-1, 0, err) }

// adopt hands over a socket that the user connected. If unix is true, it must be a Unix
// socket.
func (d *dial) adopt(addr string, unix bool) {
	if addr != "" {
		d.fail(errors.New("loop: ConnectionOptions.Sock excludes an address"))
		return
	}
	fd, family, err := adoptSocket(d.host, d.opts.Sock, d.kind, unix)
	if err != nil {
		d.fail(err)
		return
	}
	d.handOver(fd, family)
}

// handOver sets the options of a connected descriptor and calls done with it.
func (d *dial) handOver(fd int, family proactor.Family) {
	err := registry.ErrLoopClosed
	if !d.host.Ending() {
		err = d.setOptions(fd, family)
	}
	if err != nil {
		d.host.Drop(fd)
		d.fail(err)
		return
	}
	d.done(fd, family, nil)
}

func (d *dial) setOptions(fd int, family proactor.Family) error {
	if family != proactor.IPv4 && family != proactor.IPv6 {
		return nil
	}
	err := d.host.Engine().SetOption(fd, proactor.NoDelay, 1)
	if err == nil && d.opts.KeepAlive {
		err = d.host.Engine().SetOption(fd, proactor.KeepAlive, 1)
	}
	if err != nil {
		return &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	return nil
}

func dialError(addr net.Addr, err error) error {
	return &net.OpError{Op: "dial", Net: addr.Network(), Addr: addr, Err: err}
}

// interleave puts n addresses of the first family first and then alternates
// between the families, each in the resolver's order.
func interleave(addrs []netip.AddrPort, n int) []netip.AddrPort {
	if n < 0 || len(addrs) == 0 {
		return addrs
	}
	var first, other []netip.AddrPort
	for _, a := range addrs {
		if a.Addr().Is4() == addrs[0].Addr().Is4() {
			first = append(first, a)
		} else {
			other = append(other, a)
		}
	}
	lead := min(max(n, 1)-1, len(first))
	out := append([]netip.AddrPort(nil), first[:lead]...)
	first = first[lead:]
	for len(first) > 0 || len(other) > 0 {
		if len(first) > 0 {
			out, first = append(out, first[0]), first[1:]
		}
		if len(other) > 0 {
			out, other = append(out, other[0]), other[1:]
		}
	}
	return out
}
