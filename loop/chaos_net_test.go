package loop

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluice-net/sluice/loop/internal/simio"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// How many of each a run may have.
const (
	chaosEnds    = 24
	chaosServers = 4
	chaosPeers   = 12
)

// chaosDial is a call of CreateConnectionFunc that has not ended.
type chaosDial struct {
	end       *chaosEnd
	ctx       context.Context
	cancel    context.CancelFunc
	ended     bool
	cancelled bool
}

// options returns random ones.
func (c *chaos) options() ConnectionOptions {
	o := ConnectionOptions{KeepAlive: c.chance(4), AllErrors: c.chance(4),
		CloseTimeout: c.timeoutIn(2 * time.Second), IdleTimeout: c.timeoutIn(3 * time.Second)}
	if c.chance(6) {
		o.WriteCap = 1 + c.random.IntN(200<<10)
	}
	if c.chance(8) {
		o.LocalAddr = "127.0.0.1:0"
	}
	o.HappyEyeballsDelay = []time.Duration{0, -1, time.Millisecond}[c.random.IntN(3)]
	return o
}

// listen makes a server.
func (c *chaos) listen() {
	if len(c.servers) >= chaosServers {
		return
	}
	o := c.options()
	opts := &ServerOptions{Backlog: 1 + c.random.IntN(8), KeepAlive: o.KeepAlive,
		CloseTimeout: o.CloseTimeout, IdleTimeout: o.IdleTimeout, WriteCap: o.WriteCap,
		DeferServing: c.chance(8)}
	if c.chance(8) {
		opts.MaxConns = 1 + c.random.IntN(3)
	}
	factory := func() protocol.Protocol {
		switch {
		case c.calm || c.panicRate == 0 || !c.chance(c.panicRate):
			_, p := c.newEnd(o)
			return p
		case c.chance(2):
			c.panics++
			return nil
		}
		c.panics++
		panic(chaosPanic{-1})
	}
	addr := []string{"127.0.0.1:0", "[::1]:0", ":0"}[c.random.IntN(3)]
	c.loop.CreateServerFunc(context.Background(), factory, addr, opts,
		func(s *Server, err error) {
			c.note(-1, "server", chaosReason(err))
			if err == nil {
				c.servers = append(c.servers, s)
			}
		})
}

// dial connects to a server, to a scripted service, or to nobody.
func (c *chaos) dial() {
	live := 0
	for _, e := range c.ends {
		if !e.lost {
			live++
		}
	}
	if live >= chaosEnds || len(c.ends) > 3*chaosEnds || c.calm {
		return
	}
	o := c.options()
	e, p := c.newEnd(o)
	d := &chaosDial{end: e}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	if c.chance(20) {
		d.cancel() // from the start
		d.cancelled = true
	}
	c.dials = append(c.dials, d)
	c.loop.CreateConnectionFunc(d.ctx, p, c.target(), &o, func(t transport.Transport, err error) {
		c.dialed(d, t, err)
	})
}

// dialed takes the end of a dial.
func (c *chaos) dialed(d *chaosDial, t transport.Transport, err error) {
	c.note(d.end.id, "dialed", chaosReason(err))
	e := d.end
	switch {
	case d.ended:
		e.fail("dialed twice")
	case err == nil && (!e.made || t != e.tr):
		e.fail("dialed, but not made")
	case err != nil && e.made && !e.ending && !e.tr.IsClosing():
		e.fail("made, but dial says %v", err)
	case errors.Is(err, context.Canceled) && !d.cancelled:
		e.fail("cancelled by nobody")
	}
	d.ended = true
	e.lost = e.lost || !e.made
}

// target returns an address to dial.
func (c *chaos) target() string {
	n := c.random.IntN(10)
	switch {
	case n < 7 && len(c.servers) > 0:
		addrs := c.servers[c.random.IntN(len(c.servers))].Addrs()
		addr := addrs[c.random.IntN(len(addrs))].String()
		if transportAddr(addr).Addr().IsUnspecified() || c.chance(6) {
			addr = fmt.Sprintf(":%d", transportAddr(addr).Port())
		}
		return addr
	case n < 9:
		return c.service.Addr().String()
	case c.chance(2):
		return "192.0.2.1:80" // nobody answers
	}
	return "127.0.0.1:9" // nobody listens
}

// cancelDial cancels a dial that is under way; not inside its ConnectionMade,
// when its context is not watched any more.
func (c *chaos) cancelDial() {
	for _, d := range c.dials {
		if !d.ended && !d.cancelled && !d.end.made {
			d.cancelled = true
			c.post(d.cancel)
			return
		}
	}
}

// server does something to a random server, or makes one.
func (c *chaos) server() {
	if len(c.servers) == 0 || c.chance(6) {
		c.listen()
		return
	}
	s := c.servers[c.random.IntN(len(c.servers))]
	clients := func(mark func(e *chaosEnd)) {
		for t := range s.Conns() {
			if e := c.byTransport[t]; e != nil {
				mark(e)
			}
		}
	}
	switch c.random.IntN(8) {
	case 0:
		s.Close()
		if s.IsServing() || len(s.Sockets()) > 0 {
			c.fail("a server serves after Close")
		}
	case 1, 2:
		clients(func(e *chaosEnd) { e.closed = true })
		s.CloseClients()
		clients(func(e *chaosEnd) { e.check("CloseClients") })
	case 3:
		clients(func(e *chaosEnd) { e.aborted = true })
		s.AbortClients()
		clients(func(e *chaosEnd) { e.check("AbortClients") })
	case 4:
		_ = s.StartServing() // ErrServerClosed, EADDRINUSE
	case 5:
		c.visit(s)
	default:
		c.dial()
	}
}

// visit has scripted peers connect to a server, which closes some time around
// their arrival, seldom.
func (c *chaos) visit(s *Server) {
	a := transportAddr(s.Addrs()[0].String())
	if a.Addr().IsUnspecified() {
		a = transportAddr(fmt.Sprintf("127.0.0.1:%d", a.Port()))
	}
	for range 1 + c.random.IntN(3) {
		if len(c.peers) < chaosPeers {
			c.addPeer(c.world.Dial(a), a)
		}
	}
	if c.chance(8) {
		c.loop.CallLater(c.upTo(time.Millisecond), s.Close)
	}
}

// later does something from a callback of the loop or a timer, or cancels one
// that was to.
func (c *chaos) later() {
	f := func() {
		c.note(-1, "callback", 0)
		for range 1 + c.random.IntN(2) {
			if c.acts > 0 && !c.calm && !c.over {
				c.act(nil)
			}
		}
		if !c.calm && c.panicRate > 0 && c.chance(c.panicRate) {
			c.panics++
			panic(chaosPanic{-1})
		}
	}
	switch c.random.IntN(4) {
	case 0:
		c.loop.CallSoon(f)
	case 1:
		h := c.loop.CallLater(c.upTo(20*time.Millisecond), f)
		if c.chance(4) {
			h.Cancel()
		}
	default:
		c.loop.CallLater(c.upTo(50*time.Millisecond), f)
	}
}

// serve makes the service whose connections are scripted peers.
func (c *chaos) serve() error {
	s, err := c.world.Serve(transportAddr("127.0.0.1:0"), func(p *simio.Peer) {
		q := c.addPeer(p, p.RemoteAddr())
		q.accepted = true
		if c.calm {
			q.settle()
		}
	})
	c.service = s
	return err
}
