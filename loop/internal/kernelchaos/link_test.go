package kernelchaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync/atomic"
	"syscall"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// kind is what a connection is made of, and who makes it.
type kind uint8

const (
	tcpAccepted  kind = iota // by a server of the loop
	tcpDialed                // by the loop, to a listener of package net
	unixAccepted             // by a server of the loop
	unixPair                 // a socketpair, of which the loop gets one end
	pipeRead                 // by the loop
	pipeWrite                // by the loop
)

// kinds are those that are drawn from, TCP more often: it alone has resets.
var kinds = []kind{tcpAccepted, tcpAccepted, tcpAccepted, tcpDialed, tcpDialed, unixAccepted,
	unixAccepted, unixPair, pipeRead, pipeWrite}

func (k kind) String() string {
	return [...]string{"tcp accepted", "tcp dialed", "unix accepted", "unix pair",
		"pipe read", "pipe write"}[k]
}

func (k kind) tcp() bool  { return k <= tcpDialed }
func (k kind) pipe() bool { return k >= pipeRead }

// A link is one connection: the loop's end and the peer's. Each stream's content is
// that of a key, so that either end knows what the other has written.
type link struct {
	*world
	id    uint64
	kind  kind
	actor *actor // nil until the loop has the connection
	peer  *peer
	left  atomic.Int32 // ends that are not over
}

// Keys of the two streams of a link.
func (l *link) fromLoop() uint64 { return l.seed ^ l.id*2 }
func (l *link) fromPeer() uint64 { return l.seed ^ (l.id*2 + 1) }

// rand is a source of the link's: one for each goroutine that draws.
func (l *link) rand(whose uint64) *rand.Rand {
	return rand.New(rand.NewPCG(l.seed, l.id<<8|whose))
}

// spawn makes a connection.
func (w *world) spawn() {
	w.mu.Lock()
	w.nextID++
	l := &link{world: w, id: w.nextID, kind: pick(w.rng, kinds...)}
	l.left.Store(2)
	l.peer = newPeer(l)
	w.live[l.id] = l
	w.count.links++
	w.mu.Unlock()
	if err := l.connect(); err != nil {
		w.failf("%s: %v", l.describe(), err)
		l.forget()
	}
}

// connect makes the connection and has the peer run.
func (l *link) connect() error {
	switch l.kind {
	case tcpAccepted:
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(l.ip())}}
		return l.run(d.Dial("tcp", l.servers[0].Addrs()[0].String()))
	case unixAccepted:
		d := net.Dialer{LocalAddr: &net.UnixAddr{Name: l.name(), Net: "unix"}}
		return l.run(d.Dial("unix", l.servers[1].Addrs()[0].String()))
	case tcpDialed:
		l.loop.CallSoonThreadsafe(func() {
			l.loop.CreateConnectionFunc(context.Background(), newActor(l).protocol(),
				l.dialed.Addr().String(), &loop.ConnectionOptions{LocalAddr: l.ip() + ":0"},
				func(_ transport.Transport, err error) { l.made(err) })
		})
		return nil
	case unixPair:
		return l.pair()
	}
	return l.pipe()
}

// run begins the peer's end.
func (l *link) run(c net.Conn, err error) error {
	if err == nil {
		l.peer.start(c)
	}
	return err
}

// made takes what the loop says to a connection that was asked for. One whose peer
// resets may fail to be made, or is lost inside ConnectionMade already, by writing.
func (l *link) made(err error) {
	switch {
	case err == nil:
	case l.actor.wasMade && l.peer.left.Load():
	case l.actor.wasMade || l.kind != tcpDialed || !l.peer.left.Load() ||
		!errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE):
		l.failf("%s: %v", l.describe(), err)
	default:
		l.over()
	}
}

func (l *link) pair() error {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "pair"), os.NewFile(uintptr(fds[1]), "pair")
	defer theirs.Close()
	l.loop.CallSoonThreadsafe(func() {
		l.loop.ConnectAcceptedSocketFunc(context.Background(), newActor(l).protocol(), ours, nil,
			func(_ transport.Transport, err error) { l.made(err) })
	})
	return l.run(net.FileConn(theirs))
}

func (l *link) pipe() error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	if l.kind == pipeRead {
		l.loop.CallSoonThreadsafe(func() {
			l.loop.ConnectReadPipeFunc(context.Background(), newActor(l).protocol(), r,
				func(_ transport.ReadTransport, err error) { l.made(err) })
		})
		l.peer.start(w)
		return nil
	}
	l.loop.CallSoonThreadsafe(func() {
		l.loop.ConnectWritePipeFunc(context.Background(), newActor(l).protocol(), w,
			func(_ transport.WriteTransport, err error) { l.made(err) })
	})
	l.peer.start(r)
	return nil
}

// ip is the link's own address in 127.64.0.0/10, by which the other end knows it.
func (l *link) ip() string {
	return fmt.Sprintf("127.%d.%d.%d", 64+l.id>>16&63, l.id>>8&255, l.id&255)
}

// idOf is the reverse of ip.
func idOf(addr net.Addr) uint64 {
	a, ok := addr.(*net.TCPAddr)
	if !ok || a == nil {
		return 0
	}
	ip := a.IP.To4()
	return uint64(ip[1]-64)<<16 | uint64(ip[2])<<8 | uint64(ip[3])
}

// name is the same for Unix sockets: an abstract name.
func (l *link) name() string { return fmt.Sprintf("@%s/%d", l.prefix(), l.id) }

// prefix begins the names of all Unix sockets of the world.
func (w *world) prefix() string { return fmt.Sprintf("kernelchaos-%d-%x", os.Getpid(), w.seed) }

// listen makes the servers.
func (w *world) listen() error {
	ctx, cancel := context.WithTimeout(context.Background(), waitTimeout)
	defer cancel()
	w.mail = &mail{world: w}
	tcp, err := w.loop.CreateServer(ctx, w.accept, "127.0.0.1:0", nil)
	if err != nil {
		return err
	}
	w.servers = append(w.servers, tcp)
	unix, err := w.loop.CreateUnixServer(ctx, w.accept, "@"+w.prefix(), nil)
	if err != nil {
		return err
	}
	w.servers = append(w.servers, unix)
	if w.dialed, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return err
	}
	w.peers.Go(w.acceptDialed)
	return w.mail.open(ctx)
}

// acceptDialed runs the peers of the connections that the loop makes.
func (w *world) acceptDialed() {
	for {
		c, err := w.dialed.Accept()
		if err != nil {
			return // the end of the world
		}
		if l := w.find(idOf(c.RemoteAddr())); l != nil {
			l.peer.start(c)
		} else {
			w.failf("a connection of nobody's from %v", c.RemoteAddr())
			c.Close()
		}
	}
}

// find returns the link that is called id, nil if there is none.
func (w *world) find(id uint64) *link {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.live[id]
}

// accept is the servers' factory: whose connection it is, its first callback tells.
func (w *world) accept() protocol.Protocol { return &doorman{w: w} }

// doorman is the protocol of an accepted connection until it is known whose it is.
type doorman struct {
	protocol.Base
	w *world
}

// ConnectionMade puts the actor in the doorman's place.
func (d *doorman) ConnectionMade(t transport.Transport) {
	var id uint64
	switch peer := transport.PeerName(t).(type) {
	case *net.TCPAddr:
		id = idOf(peer)
	case *net.UnixAddr:
		if _, err := fmt.Sscanf(peer.Name, "@"+d.w.prefix()+"/%d", &id); err != nil {
			d.w.failf("a connection of %q", peer.Name)
		}
	}
	l := d.w.find(id)
	if l == nil {
		d.w.strays++ // reset before it was accepted: nobody knows its name
		t.Abort()
		return
	}
	a := newActor(l)
	if err := t.SetProtocol(a.protocol()); err != nil {
		d.w.failf("SetProtocol in ConnectionMade: %v", err)
	}
	a.made(t)
}

// DataReceived is never called: there is an actor by then, or the connection is closed.
func (d *doorman) DataReceived([]byte) { d.w.failf("DataReceived of a replaced protocol") }

// over says that one end has ended. The last one compares.
func (l *link) over() {
	if l.left.Add(-1) > 0 {
		return
	}
	l.verdict()
	l.forget()
}

func (l *link) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.live, l.id)
}
