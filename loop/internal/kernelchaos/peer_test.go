package kernelchaos

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sluice-net/sluice/loop/internal/exacttest"
	"golang.org/x/sys/unix"
)

// manner is how a peer ends its connection.
type manner uint8

const (
	orderly manner = iota // sends all, then FIN; reads to the end
	resets                // SO_LINGER 0, which is a reset on TCP, and closes
	closes                // closes, whatever was not read
)

func (m manner) String() string { return [...]string{"orderly", "resets", "closes"}[m] }

// plan is what the seed has decided about a peer.
type plan struct {
	total   int           // bytes to send
	chunk   int           // in one write, at most
	read    int           // in one read, at most
	slow    bool          // it rests between two reads
	parks   bool          // it does not read before it is woken
	shuts   bool          // a parked one sends FIN before
	manner  manner        // of the end
	after   int           // bytes received, where it is not orderly, or
	latest  time.Duration // ... after that time
	shrinks bool          // its buffers are small
}

// A peer is the end of a link that is not the loop's: a goroutine that writes and one
// that reads.
type peer struct {
	*link
	plan plan
	conn io.ReadWriteCloser // a net.Conn, or a file of a pipe
	once sync.Once

	begun     atomic.Bool
	sent, got uint64
	sawEnd    bool // it has read the end of the loop's stream
	readErr   error
	writeErr  error

	finPossible atomic.Bool // FIN was sent, or may have been
	broke       atomic.Bool // it has reset, for certain
	left        atomic.Bool // it has closed without waiting for the loop's end
}

// newPeer makes a plan.
func newPeer(l *link) *peer {
	rng := l.rand(1)
	p := &peer{link: l, plan: plan{
		total:   pick(rng, 0, 1, 5000, 100_000),
		chunk:   pick(rng, 10, 3000, 50_000),
		read:    pick(rng, 50, 4000, 64<<10),
		slow:    rng.IntN(4) == 0,
		parks:   rng.IntN(12) == 0,
		shuts:   rng.IntN(2) == 0,
		after:   rng.IntN(50_000),
		latest:  time.Duration(rng.IntN(300_000)) * time.Microsecond,
		shrinks: rng.IntN(2) == 0,
	}}
	if rng.IntN(2) == 0 {
		p.plan.manner = manner(rng.IntN(3))
	}
	p.plan.total = rng.IntN(p.plan.total + 1)
	switch l.kind {
	case pipeRead: // there is nothing to read, and nobody to wait for
		p.plan.parks, p.plan.after = false, 1<<30
	case pipeWrite:
		p.plan.total = 0
	}
	return p
}

func (p *peer) String() string {
	s := fmt.Sprintf("(%v, parks %v, shuts %v, sends %d) sent %d, received %d", p.plan.manner,
		p.plan.parks, p.plan.shuts, p.plan.total, p.sent, p.got)
	if p.sawEnd {
		s += " to the end"
	}
	if p.readErr != nil || p.writeErr != nil {
		s += fmt.Sprintf(" (%v, %v)", p.readErr, p.writeErr)
	}
	return s
}

// start begins the peer's life on a connection: both goroutines, and after both the
// end of the link's end.
func (p *peer) start(c io.ReadWriteCloser) {
	p.conn = c
	p.begun.Store(true)
	if c, ok := c.(interface {
		SetReadBuffer(int) error
		SetWriteBuffer(int) error
	}); ok && p.plan.shrinks {
		if err := errors.Join(c.SetReadBuffer(32<<10), c.SetWriteBuffer(4096)); err != nil {
			p.failf("peer %d: %v", p.id, err)
		}
	}
	p.peers.Go(func() {
		var writer sync.WaitGroup
		if p.kind != pipeWrite {
			writer.Go(p.write)
		}
		if p.kind != pipeRead {
			p.read()
		} else {
			p.waitToCut(&writer)
		}
		writer.Wait()
		p.once.Do(func() { p.finPossible.Store(true) }) // all is over: nothing is cut
		p.conn.Close()
		p.over()
	})
}

// waitToCut is the life of a peer that has nothing to read.
func (p *peer) waitToCut(writer *sync.WaitGroup) {
	if p.plan.manner == orderly {
		writer.Wait()
		return
	}
	p.rest(p.plan.latest)
	p.cut()
}

// rest waits, no longer than the world is loud.
func (p *peer) rest(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.quiet:
	}
}

// write sends all, and then FIN.
func (p *peer) write() {
	rng := p.link.rand(2)
	buf := make([]byte, p.plan.chunk)
	for p.sent < uint64(p.plan.total) {
		chunk := buf[:min(1+rng.IntN(len(buf)), p.plan.total-int(p.sent))]
		exacttest.Fill(chunk, p.fromPeer(), p.sent)
		n, err := p.conn.Write(chunk)
		p.sent += uint64(n)
		if err != nil {
			p.writeErr = err
			return
		}
		if rng.IntN(10) == 0 {
			p.rest(time.Duration(rng.IntN(5000)) * time.Microsecond)
		}
	}
	if p.plan.parks && !p.plan.shuts || p.plan.manner != orderly && rng.IntN(2) == 0 {
		return
	}
	if c, ok := p.conn.(interface{ CloseWrite() error }); ok {
		p.finPossible.Store(true)
		p.writeErr = c.CloseWrite()
	}
}

// read reads and compares, to the end or until the connection is cut.
func (p *peer) read() {
	rng := p.link.rand(3)
	if p.plan.manner != orderly && !p.plan.parks {
		cut := time.AfterFunc(p.plan.latest, p.cut)
		defer cut.Stop()
	}
	if p.plan.parks {
		p.park()
		if p.plan.manner != orderly {
			p.cut()
			return
		}
	}
	buf := make([]byte, p.plan.read)
	for {
		n, err := p.conn.Read(buf[:1+rng.IntN(len(buf))])
		if wrong := exacttest.Check(buf[:n], p.fromLoop(), p.got); wrong != nil {
			p.failf("%v %d: the peer received: %v", p.kind, p.id, wrong)
			p.giveUp()
			return
		}
		p.got += uint64(n)
		switch {
		case err == io.EOF:
			p.sawEnd = true
			return
		case err != nil:
			p.readErr = err
			return
		case p.plan.manner != orderly && p.got > uint64(p.plan.after) && !p.plan.parks:
			p.cut()
			return
		}
		if p.plan.slow {
			p.rest(time.Duration(rng.IntN(3000)) * time.Microsecond)
		}
	}
}

// park waits to be woken.
func (p *peer) park() {
	p.parked.Add(1)
	<-p.wake
	p.parked.Add(-1)
}

// cut ends the connection as planned, once. What it does is noted before it is done.
func (p *peer) cut() {
	p.once.Do(func() {
		p.left.Store(true)
		tcp, isTCP := p.conn.(*net.TCPConn)
		switch {
		case isTCP && p.plan.manner == resets:
			p.broke.Store(true)
			tcp.SetLinger(0)
		case isTCP && p.plan.parks && unread(tcp):
			// Nobody has read: what is not read when a socket is closed is a reset,
			// and no FIN (tcp_close in net/ipv4/tcp.c).
			p.broke.Store(true)
		default:
			p.finPossible.Store(true)
		}
		p.conn.Close()
	})
}

// giveUp ends the peer after a failure.
func (p *peer) giveUp() {
	if p.begun.Load() {
		p.left.Store(true)
		p.finPossible.Store(true)
		p.conn.Close()
	}
}

// unread reports whether something waits to be read.
func unread(c syscall.Conn) bool {
	raw, err := c.SyscallConn()
	n := 0
	if err == nil {
		raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	}
	return n > 0
}
