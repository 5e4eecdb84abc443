package stream

import (
	"net"
	"os"
	"sync"
	"time"

	"github.com/sluice-net/sluice/loop"
)

// waitingMax is how many connections may wait for Accept. Beyond that the loop accepts no
// more, and the kernel's queue fills up: a server that limits its load by not calling
// Accept holds its clients back, as with package net.
const waitingMax = 128

// Listener is a [net.Listener] on a loop. The loop accepts connections even before Accept
// is called, and they receive data at once. Goroutines that call Accept take turns.
//
// Errors are *[net.OpError] values that wrap [net.ErrClosed] after Close,
// [loop.ErrLoopClosed] or [os.ErrDeadlineExceeded].
type Listener struct {
	hub     *hub
	network string
	server  *loop.Server

	acceptMu sync.Mutex // held by the goroutine that accepts

	mu      sync.Mutex // guards what follows
	taker   half
	waiting []accepted
	paused  bool
	asked   bool
	err     error // nil while it is open
}

var _ net.Listener = (*Listener)(nil)

func newListener(h *hub, network string) *Listener {
	ln := &Listener{hub: h, network: network}
	ln.taker.mu = &ln.mu
	return ln
}

// Accept waits for the next connection, which is a *[Conn], or a *[MessageConn] for
// network "unixpacket". A connection that the peer
// has closed meanwhile is still returned.
func (ln *Listener) Accept() (net.Conn, error) {
	if err := ln.hub.lock(&ln.acceptMu); err != nil {
		return nil, ln.fault("accept", err)
	}
	defer ln.acceptMu.Unlock()
	ln.mu.Lock()
	defer ln.mu.Unlock()
	for {
		switch {
		case ln.err != nil:
			return nil, ln.fault("accept", ln.err)
		case ln.taker.expired():
			return nil, ln.fault("accept", os.ErrDeadlineExceeded)
		case len(ln.waiting) > 0:
			return ln.pop(), nil
		case ln.hub.onLoop():
			return nil, ln.fault("accept", loop.ErrOnLoop)
		}
		ln.taker.wait()
	}
}

// Close stops listening; new connections are refused. Connections that Accept has
// returned stay open; those that still wait for Accept are aborted. A waiting Accept
// returns net.ErrClosed. Errors: net.ErrClosed when called again; loop.ErrLoopClosed when
// the loop was closed before, which has closed everything but does not remove the file of
// a Unix socket.
func (ln *Listener) Close() error {
	ln.mu.Lock()
	if ln.err != nil {
		err := ln.err
		ln.err = net.ErrClosed
		ln.mu.Unlock()
		if err == loop.ErrLoopClosed {
			ln.server.Close() // which removes the file of a Unix socket
		}
		return ln.fault("close", err)
	}
	ln.err = net.ErrClosed
	waiting := ln.waiting
	ln.waiting = nil
	ln.taker.stop()
	ln.mu.Unlock()
	ln.hub.leave(ln)
	for _, c := range waiting {
		c.Abort()
	}
	ln.server.Close()
	return nil
}

// Addr returns the address that the listener listens on, the first one if there are
// several.
func (ln *Listener) Addr() net.Addr {
	if addrs := ln.server.Addrs(); len(addrs) > 0 {
		return addrs[0]
	}
	return addr(nil, ln.network)
}

// Addrs returns all addresses that the listener listens on: for an empty host, one for
// IPv4 and one for IPv6.
func (ln *Listener) Addrs() []net.Addr { return ln.server.Addrs() }

// SetDeadline makes Accept, including a call that is already waiting, fail with
// os.ErrDeadlineExceeded from t on; the zero time means never. Error: net.ErrClosed.
func (ln *Listener) SetDeadline(t time.Time) error {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	if ln.err != nil {
		return ln.fault("set", ln.err)
	}
	ln.taker.setDeadline(t)
	return nil
}

// push takes a new connection, on the loop's goroutine.
func (ln *Listener) push(c accepted) {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	if ln.err != nil {
		c.Abort()
		return
	}
	ln.waiting = append(ln.waiting, c)
	if ln.taker.wake() {
		ln.hub.yieldSoon()
	}
	if len(ln.waiting) >= waitingMax && !ln.paused {
		ln.paused = true
		ln.server.PauseAccepting()
	}
}

// pop takes the first waiting connection. When half of them are gone, the loop accepts
// again. mu is held.
func (ln *Listener) pop() accepted {
	c := ln.waiting[0]
	ln.waiting[0] = nil
	ln.waiting = ln.waiting[1:]
	if ln.paused && len(ln.waiting) <= waitingMax/2 && !ln.asked {
		ln.asked = true
		ln.hub.ask(ln)
	}
	return c
}

// serve implements member.
func (ln *Listener) serve() {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	ln.asked = false
	if ln.err == nil && ln.paused && len(ln.waiting) <= waitingMax/2 {
		ln.paused = false
		ln.server.ResumeAccepting()
	}
}

// loopClosed implements member.
func (ln *Listener) loopClosed() {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	if ln.err == nil {
		ln.err = loop.ErrLoopClosed
		ln.waiting = nil
		ln.taker.stop()
	}
}

func (ln *Listener) fault(op string, err error) error {
	return &net.OpError{Op: op, Net: ln.network, Addr: ln.Addr(), Err: err}
}
