package tls_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// tlsSeeds is how many worlds the chaos of TLS is tried in at length.
const tlsSeeds = 100

// TestTLSSurvivesChaos has both ends of connections do anything in any callback and
// between them, over a kernel with faults. Whatever happens, the callbacks keep to
// their automaton, what arrives is the beginning of what was written, after the
// peer's close_notify it is all of it, memory lent is given back once, and everything
// ends. Keys are random, so a seed gives the same choices but not the same history.
func TestTLSSurvivesChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	for seed := range uint64(rig.Amount(tlsSeeds)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 3))
			faults := looptest.RandomFaults(seed)
			if seed%3 == 0 {
				faults = looptest.Faults{}
			}
			faults.NoSocket, faults.BindBusy, faults.Accept = 0, 0, 0
			n := looptest.New(t, looptest.Options{Seed: seed, Faults: faults,
				Loop: loop.Options{Debug: seed%2 == 0}})
			c := &tlsChaos{t: t, l: n.Loop, r: r, acts: 20 + r.IntN(150)}
			c.l.SetExceptionHandler(c.exception)
			if r.IntN(2) == 0 {
				c.panicRate = 10 + r.IntN(80)
			}
			for range 1 + r.IntN(2) {
				c.connect()
			}
			for range 20 {
				looptest.Do(c.l, func() { c.l.CallLater(c.soon(), c.someone) })
			}
			looptest.Pass(t, c.l, 2*time.Second)
			n.SetFaults(looptest.Faults{})
			looptest.Do(c.l, c.calm)
			looptest.WaitFor(t, c.l, "the end of all", func() bool {
				return c.l.Stats().Transports == 0 && c.dials == 0
			})
			looptest.Do(c.l, c.judge)
		})
	}
}

// tlsChaos is what goes on in one world.
type tlsChaos struct {
	t         *testing.T
	l         *loop.Loop
	r         *rand.Rand
	ends      []*tlsEnd
	acts      int // that may still be done
	dials     int // that have no answer yet
	panicRate int // one in so many callbacks panics; 0: none
	owned     int // slices of WriteOwned that have not come back
	quiet     bool
	planned   int // panics
	reported  int
}

// tlsEnd is one end of a connection.
type tlsEnd struct {
	c        *tlsChaos
	peer     *tlsEnd
	tr       transport.Transport
	layers   []*tlsLayer // of TLS, one on top of the other
	server   bool
	upgrades bool // StartTLS is under way
	complete bool // the peer has said close_notify
	lost     int
}

// tlsLayer is what an end did between two calls of StartTLS.
type tlsLayer struct {
	recs []*transporttest.Recorder // its protocols, one after the other
	sent []byte
}

// top is the layer that is in use.
func (e *tlsEnd) top() *tlsLayer { return e.layers[len(e.layers)-1] }

// connect makes a server and a connection to it.
func (c *tlsChaos) connect() {
	c.t.Helper()
	server := &tlsEnd{c: c, server: true, layers: []*tlsLayer{{}}}
	client := &tlsEnd{c: c, layers: []*tlsLayer{{}}}
	server.peer, client.peer = client, server
	opts := loop.ServerOptions{TLS: &loop.TLSOptions{Config: rig.ServerTLS()}}
	looptest.Do(c.l, func() { // connections that were made before draw numbers already
		opts.TLS.RequireCloseNotify = c.r.IntN(2) == 0
		if c.r.IntN(4) == 0 {
			opts.CloseTimeout = c.soon()
		}
	})
	factory := func() protocol.Protocol { return server.protocol(transporttest.NewRecorder(c.t)) }
	s, err := c.l.CreateServer(rig.WithTimeout(c.t), factory, "127.0.0.1:0", &opts)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(s.Close)
	looptest.Do(c.l, func() {
		c.ends = append(c.ends, server, client)
		c.dials++
		ctx, cancel := context.WithCancel(c.t.Context())
		c.l.CreateConnectionFunc(ctx, client.protocol(transporttest.NewRecorder(c.t)),
			s.Addrs()[0].String(), &loop.ConnectionOptions{TLS: &loop.TLSOptions{
				Config: rig.ClientTLS()}},
			func(_ transport.Transport, err error) { c.dials-- })
		for _, disturb := range []func(){cancel, s.CloseClients, s.AbortClients, s.Close} {
			if c.r.IntN(10) == 0 {
				c.l.CallLater(c.soon()/10, disturb)
			}
		}
		c.t.Cleanup(cancel)
	})
}

// protocol makes a protocol of a new recorder of the end.
func (e *tlsEnd) protocol(rec *transporttest.Recorder) protocol.Protocol {
	e.top().recs = append(e.top().recs, rec)
	rec.On = transporttest.Hooks{
		Made:    func(t transport.Transport) { e.tr = t; e.inside() },
		Data:    func([]byte) { e.inside() },
		Updated: func(int) { e.inside() },
		EOF:     func() bool { e.ended(); e.inside(); return e.c.r.IntN(2) == 0 },
		Pause:   e.inside,
		Resume:  e.inside,
		Lost:    func(error) { e.lost++; e.inside() },
	}
	if e.c.r.IntN(2) == 0 {
		return rec
	}
	memory := make([]byte, 1<<e.c.r.IntN(16))
	rec.On.Get = func(int) []byte { e.inside(); return memory }
	return rec.Buffered(1)
}

// inside does something in a callback.
func (e *tlsEnd) inside() {
	for range e.c.r.IntN(3) {
		e.act()
	}
	if n := e.c.panicRate; n > 0 && !e.c.quiet && e.c.r.IntN(n) == 0 {
		e.c.planned++
		panic("planned")
	}
}

// ended checks that all has arrived where the peer says so.
func (e *tlsEnd) ended() {
	if e.complete, _ = e.tr.ExtraInfo("close_notify").(bool); e.complete {
		e.check()
	}
}

// check compares what arrived with what the peer wrote.
func (e *tlsEnd) check() {
	for i, layer := range e.layers {
		if i == len(e.peer.layers) {
			break
		}
		got, want := []byte(nil), e.peer.layers[i].sent
		for _, r := range layer.recs {
			got = append(got, r.Data()...)
		}
		if upgraded := i+1 < len(e.peer.layers); upgraded { // its records may follow
			got = got[:min(len(got), len(want))]
		} else if e.complete && i+1 == len(e.layers) && len(got) < len(want) {
			e.c.t.Errorf("%v: %d bytes of %d, and close_notify", e.tr, len(got), len(want))
		}
		if !bytes.HasPrefix(want, got) {
			e.c.t.Errorf("%v: layer %d: what arrived is not what was sent", e.tr, i)
		}
	}
}

// someone has some end do something outside callbacks, and goes on.
func (c *tlsChaos) someone() {
	c.ends[c.r.IntN(len(c.ends))].act()
	if c.acts > 0 && !c.quiet {
		c.l.CallLater(c.soon(), c.someone)
	}
}

// soon is a random time.
func (c *tlsChaos) soon() time.Duration {
	return time.Duration(1 + c.r.IntN(1+c.r.IntN(200_000_000)))
}

// calm closes what is still there.
func (c *tlsChaos) calm() {
	c.quiet = true
	for _, e := range c.ends {
		if e.tr != nil {
			e.tr.ResumeReading()
			e.tr.Close()
		}
	}
}

// exception is the loop's handler.
func (c *tlsChaos) exception(x loop.Exception) {
	var p *protocol.PanicError
	switch {
	case errors.As(x.Err, &p) && p.Value == "planned":
		c.reported++
	case !errors.Is(x.Err, syscall.ENOMEM): // which a listener meets
		c.t.Error(x.Message, x.Err)
	}
}

// judge looks at what is left when all is over.
func (c *tlsChaos) judge() {
	if c.owned != 0 {
		c.t.Errorf("%d slices are not released", c.owned)
	}
	if c.reported != c.planned {
		c.t.Errorf("%d of %d panics are reported", c.reported, c.planned)
	}
	for _, e := range c.ends {
		e.check()
		if e.tr != nil && e.lost != 1 {
			c.t.Errorf("%v: %d times ConnectionLost", e.tr, e.lost)
		}
	}
}
