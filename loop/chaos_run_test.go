package loop

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/simio"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// chaosGrace is the virtual time that a shutdown lets transports flush in.
const chaosGrace = 5 * time.Second

// chaos is one run of one seed.
//
//	chaos --time is up--> calm --everything has arrived--> ending --> over
//	      --in some runs-----------------------------------> ending
//
// chaos: the ends do random things, the kernel has faults. calm: everybody reads
// and nobody does anything else; what was written must arrive. ending: Shutdown
// or, in some runs, Close.
type chaos struct {
	seed   uint64
	on     chaosKernel
	random *rand.Rand
	world  *simio.World
	engine *chaosEngine
	loop   *Loop

	ends        []*chaosEnd
	byTransport map[transport.Transport]*chaosEnd
	peers       []*chaosPeer
	flows       map[string]*chaosFlow
	streams     []*chaosStream // pipes, also those of children
	pipes       int            // of them, that are nobody's
	children    []*chaosChild
	calls       int  // of methods of streams and children under way
	kin         bool // this run has pipes and children
	alone       bool // and nothing else
	servers     []*Server
	dials       []*chaosDial
	service     *simio.Service

	actions   []chaosAction
	weight    []int // of actions, in this run
	weights   int
	acts      int // that may still be done
	bytes     int // that may still be written in large pieces
	panicRate int // one in so many callbacks panics; 0: none
	panics    int // and empty buffers, that must be reported
	reports   int
	allocated int // pieces of AllocBuffer in use
	depth     int // callbacks under way

	calm, ending, over bool

	failures []string
	hash     uint64
	trace    []string
	verbose  bool
	scratch  []byte
}

func newChaos(seed uint64, on chaosKernel) *chaos {
	c := &chaos{seed: seed, on: on, alone: seed >= chaosAlone,
		random: rand.New(rand.NewPCG(seed, 0x5105ce)),
		flows:  map[string]*chaosFlow{}, byTransport: map[transport.Transport]*chaosEnd{}}
	c.acts = 20 + c.random.IntN(180)
	c.bytes = 300 << 10
	if c.forwards() {
		c.bytes = 2 << 20
	}
	c.actions = chaosActionList()
	if c.kin = c.alone || seed%4 == 1; c.kin {
		c.actions = append(c.actions,
			chaosAction{"kin", 40, func(*chaosEnd) { c.actOfKin() }})
	}
	for _, a := range c.actions {
		w := 0
		if c.random.IntN(4) > 0 {
			w = 1 + c.random.IntN(2*a.weight)
		}
		c.weight = append(c.weight, w)
		c.weights += w
	}
	if c.weights == 0 {
		c.weight[0], c.weights = 1, 1
	}
	if c.chance(2) {
		c.panicRate = 20 + c.random.IntN(200)
	}
	c.build()
	return c
}

// build makes the world and the loop.
func (c *chaos) build() {
	faults := simio.Faults{}
	if !c.chance(8) {
		faults = simio.RandomFaults(c.seed)
	}
	cfg := proactor.Config{Entries: 8, BufferSize: 256 << c.random.IntN(8),
		BuffersMin: 1, BuffersMax: 2 << c.random.IntN(4)}
	if c.forwards() {
		cfg.BufferSize = max(cfg.BufferSize, 8<<10)
	}
	engine := c.openEngine(simio.Options{Seed: c.seed, Faults: faults, Config: cfg,
		BufferMin: 512, BufferMax: 64 << 10, HistoryMax: 64 << 10,
		Idle: func() { c.stuck("nothing will ever happen any more") }})
	c.world.Program("chaos", c.program)
	c.world.SetRoute(transportAddr("192.0.2.1:0"), simio.Silent)
	c.engine = &chaosEngine{Proactor: engine, c: c, ops: map[int][]*proactor.Op{}}
	c.loop = prepare(Options{Debug: c.chance(2)})
	c.loop.engine, c.loop.kind = c.engine, sim
	c.loop.SetExceptionHandler(c.exception)
	c.openPage()
}

// run runs the seed. It returns a hash of all that happened.
func (c *chaos) run() uint64 {
	crashed := make(chan any, 1)
	c.loop.starts = make(chan *runRequest)
	go func() {
		// The loop's goroutine, with a net below it.
		defer func() { crashed <- recover() }()
		c.loop.main()
	}()
	if err := c.serve(); err != nil {
		c.fail("%v", err)
	}
	c.loop.CallSoon(c.begin)
	c.world.After(50*time.Millisecond+c.upTo(time.Second), c.settle)
	if err := c.loop.RunForever(); err != nil {
		c.fail("RunForever: %v", err)
	}
	c.calm, c.ending = false, true
	if c.chance(8) {
		if err := c.loop.Close(); err != nil {
			c.fail("Close: %v", err)
		}
	} else {
		c.shutdown()
	}
	c.over = true
	if r := <-crashed; r != nil {
		c.fail("the loop panicked: %v", r)
	} else if len(c.failures) == 0 {
		c.inspect()
	}
	h := fnv.New64a()
	fmt.Fprintln(h, c.hash, c.world.HistoryHash())
	return h.Sum64()
}

// begin makes the first servers and connections.
func (c *chaos) begin() {
	if c.kin {
		c.beginKin()
	}
	if c.alone {
		return
	}
	for range 1 + c.random.IntN(2) {
		c.listen()
	}
	for range 1 + c.random.IntN(4) {
		c.dial()
	}
	for range c.random.IntN(4) {
		c.server()
	}
	for range 2 + c.random.IntN(8) {
		c.later()
	}
}

// settle ends the chaos: in most runs everybody reads on for so long that
// whatever can arrive does.
func (c *chaos) settle() {
	c.checkPage()
	if c.chance(4) {
		c.lastChild()
		c.loop.Stop()
		return
	}
	c.calm = true
	c.world.SetFaults(simio.Faults{})
	for _, q := range c.peers {
		q.settle()
	}
	for _, e := range c.ends {
		if e.alive() {
			e.resumeReading()
		}
		if e.alive() && e.eof {
			e.close()
		}
	}
	c.settleKin()
	c.world.After(10*time.Minute, func() {
		c.expectQuiet()
		c.post(func() { c.loop.CallSoonThreadsafe(c.expectSent) })
	})
}

// shutdown shuts the loop down and checks that it takes no longer than it may.
func (c *chaos) shutdown() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	began := c.world.Now()
	c.world.After(chaosGrace, func() { c.post(cancel) })
	stalled := 0
	for _, e := range c.ends {
		if e.alive() {
			stalled++
			e.closed = true
		}
	}
	stalled += c.closeKin()
	err := c.loop.Shutdown(ctx)
	if err != nil && (!errors.Is(err, context.Canceled) || stalled == 0) {
		c.fail("Shutdown: %v", err)
	}
	if took := c.world.Now() - began; took > chaosGrace+2*time.Second {
		c.fail("Shutdown took %v", took)
	}
	for _, e := range c.ends {
		if e.alive() {
			e.fail("no ConnectionLost: %v", e.tr)
		}
	}
	c.expectGone()
	c.expectNoneKept()
}

// exception is the loop's handler.
func (c *chaos) exception(x Exception) {
	c.note(-1, x.Message, 0)
	switch {
	case isChaos(x.Err), errors.Is(x.Err, protocol.ErrEmptyBuffer),
		errors.Is(x.Err, transport.ErrNilProtocol):
		c.reports++
	case strings.Contains(x.Message, "accept"):
	default:
		c.fail("reported: %s: %v\n%s", x.Message, x.Err, stackOf(x.Err))
	}
}

// isChaos reports whether err is a panic of ours.
func isChaos(err error) bool {
	var p *protocol.PanicError
	if !errors.As(err, &p) {
		return false
	}
	_, ours := p.Value.(chaosPanic)
	return ours
}

// fail notes a broken promise; the first one ends the run.
func (c *chaos) fail(format string, args ...any) {
	c.failures = append(c.failures, fmt.Sprintf(format, args...))
	c.note(-1, c.failures[len(c.failures)-1], 0)
	c.over = true
	c.loop.stopping.Store(true)
}

// note adds an event to the trace.
func (c *chaos) note(id int, what string, n int) {
	for _, b := range []byte(what) {
		c.hash = chaosMix(c.hash ^ uint64(b))
	}
	c.hash = chaosMix(c.hash ^ uint64(id)<<32 ^ uint64(n))
	if c.verbose {
		c.trace = append(c.trace, fmt.Sprintf("%12d end %2d %s %d", c.world.Now(), id, what, n))
	}
}

// chance reports true once in n times.
func (c *chaos) chance(n int) bool { return c.random.IntN(n) == 0 }

// upTo returns a random duration below d.
func (c *chaos) upTo(d time.Duration) time.Duration {
	return time.Duration(c.random.Int64N(int64(d)))
}

// size returns how much to write: mostly little, sometimes more than any buffer.
func (c *chaos) size() int {
	n := c.random.IntN(200)
	if c.forwards() && c.chance(2) {
		return c.large()
	}
	switch c.random.IntN(12) {
	case 0:
		n = 0
	case 1, 2, 3:
		n = c.random.IntN(6 << 10)
	case 4, 5:
		n = c.random.IntN(30 << 10)
	case 6:
		n = c.random.IntN(150 << 10)
	}
	if n > c.bytes {
		return min(n, 50)
	}
	c.bytes -= n
	return n
}

// bufferSize returns how much memory GetBuffer offers.
func (c *chaos) bufferSize() int { return 1 << c.random.IntN(14) }

// anyEnd returns a random end that was made, dead ones seldom; nil for none.
func (c *chaos) anyEnd() *chaosEnd {
	var made []*chaosEnd
	dead := c.chance(10)
	for _, e := range c.ends {
		if e.made && (dead || !e.lost) {
			made = append(made, e)
		}
	}
	if len(made) == 0 {
		return nil
	}
	return made[c.random.IntN(len(made))]
}

// transportAddr parses a literal address.
func transportAddr(s string) transport.Addr {
	return transport.Addr{AddrPort: netip.MustParseAddrPort(s)}
}
