package simio

import (
	"bytes"
	"flag"
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop/internal/iouring"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

var seeds = flag.Uint64("seeds", 20, "how many seeds the random workload runs with; "+
	"from 100 on the engines' suite has three, too")

// SuiteSeeds is how many seeds the suite that every engine passes runs with.
func SuiteSeeds() uint64 {
	if *seeds < 100 {
		return 1
	}
	return 3
}

var onlySeed = flag.Int64("seed", -1, "run the random workload with this seed alone")

// workload echoes what peers send, over connections in both directions, with
// random operations, cancelled at random.
type workload struct {
	*World
	proactor.Proactor
	t      *testing.T
	random source
	peers  []*Peer
	sent   [][]byte
	conns  []*echo
	accept proactor.Op
	trying int // connections that we are making
	broken int // connections that ended with an error on the engine's side
}

// echo is one connection on the engine's side.
type echo struct {
	w          *workload
	fd         int
	recv, send proactor.Op
	got        []byte
	done       int // bytes of got that were sent back
	eof, dead  bool
	closed     bool
}

// Now is the world's.
func (w *workload) Now() time.Duration { return w.World.Now() }

// maker makes an engine in a world of its own.
type maker func(t *testing.T, o Options) (*World, proactor.Proactor)

// simulated makes the simulated engine.
func simulated(_ *testing.T, o Options) (*World, proactor.Proactor) {
	e := New(o)
	return e.World, e
}

// onARing makes the engine on io_uring, on a simulated ring with small queues.
func onARing(t *testing.T, o Options) (*World, proactor.Proactor) {
	size := source{o.Seed ^ 0x512e}
	o.Config.Entries = 1 << size.below(5)
	o.Config.CQEntries = o.Config.Entries << size.below(2)
	m := NewMachine(o)
	engine, err := iouring.NewOn(m, o.Config)
	if err != nil {
		t.Fatal(err)
	}
	return m.World, m.Drive(engine)
}

// runWorkload runs one seed and returns the history's hash.
func runWorkload(t *testing.T, open maker, seed uint64, faults Faults) (hash uint64) {
	defer func() {
		if v := recover(); v != nil {
			t.Fatalf("seed %d (-run %s -seed %d): %v", seed, t.Name(), seed, v)
		}
	}()
	w := &workload{t: t, random: source{^seed}}
	w.World, w.Proactor = open(t, Options{Seed: seed, Faults: faults,
		Config: proactor.Config{BufferSize: 4096, BuffersMin: 1, BuffersMax: 4}})
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	w.begin()
	for !w.over() {
		if w.Now() > time.Hour {
			t.Fatalf("seed %d: no end in sight\n%s", seed, w.state())
		}
		if err := w.Wait(w.random.duration(100 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
	}
	w.end(seed)
	return w.HistoryHash()
}

// begin starts peers that dial us, and connections of ours to peers.
func (w *workload) begin() {
	addr := w.serve()
	for range 1 + w.random.below(4) {
		w.add(w.Dial(addr))
	}
	service, err := w.Serve(anywhere, w.add)
	if err != nil {
		w.t.Fatal(err)
	}
	w.trying = 1 + w.random.below(4)
	for range w.trying {
		w.connect(service.Addr())
	}
}

func (w *workload) serve() transport.Addr {
	for {
		fd, err := w.Socket(proactor.IPv4, proactor.Stream)
		if err != nil {
			continue
		}
		if w.Bind(fd, anywhere) == nil && w.Listen(fd, w.random.below(4)) == nil {
			w.accept = proactor.Op{Code: proactor.Accept, FD: fd, Handler: ops(w.accepted)}
			w.Submit(&w.accept)
			addr, _ := w.LocalAddr(fd)
			return addr
		}
		w.CloseFD(fd)
	}
}

func (w *workload) accepted(op *proactor.Op) {
	switch {
	case op.More:
		w.open(int(op.Res))
	case op.Errno() != syscall.ECANCELED:
		w.After(time.Millisecond, func() { w.Submit(&w.accept) })
	}
}

// add has a peer send random bytes, in pieces.
func (w *workload) add(p *Peer) {
	data := make([]byte, 1+w.random.below(40<<10))
	for i := range data {
		data[i] = byte(w.random.next())
	}
	w.peers, w.sent = append(w.peers, p), append(w.sent, data)
	rest, at := data, time.Duration(0)
	for len(rest) > 0 {
		piece := rest[:1+w.random.below(len(rest))]
		rest = rest[len(piece):]
		w.After(at, func() { p.Send(piece) })
		at += w.random.duration(20 * time.Millisecond)
	}
	w.After(at, p.CloseWrite)
	if w.random.below(3) == 0 {
		p.PauseReading()
		w.After(w.random.duration(time.Second), p.ResumeReading)
	}
}

// connect connects and tries again when that fails.
func (w *workload) connect(addr transport.Addr) {
	fd, err := w.Socket(proactor.IPv4, proactor.Stream)
	if err != nil {
		w.After(time.Millisecond, func() { w.connect(addr) })
		return
	}
	op := &proactor.Op{Code: proactor.Connect, FD: fd,
		Message: &proactor.Message{Addr: addr}}
	op.Handler = ops(func(op *proactor.Op) {
		if op.Res == 0 {
			w.trying--
			w.open(fd)
			return
		}
		w.CloseFD(fd)
		w.connect(addr)
	})
	w.Submit(op)
}

func (w *workload) open(fd int) {
	c := &echo{w: w, fd: fd}
	w.conns = append(w.conns, c)
	c.receive()
}

// receive arms the receive, of either kind.
func (c *echo) receive() {
	if c.dead || c.eof || c.closed || c.recv.InFlight() {
		return
	}
	c.recv = proactor.Op{Code: proactor.RecvAny, FD: c.fd, Handler: c}
	if c.w.random.below(2) == 0 {
		c.recv.Code, c.recv.Buf = proactor.Recv, make([]byte, 1+c.w.random.below(5000))
	}
	c.w.Submit(&c.recv)
	c.maybeCancel(&c.recv)
}

// maybeCancel cancels op some time later, perhaps.
func (c *echo) maybeCancel(op *proactor.Op) {
	if c.w.random.below(4) == 0 {
		c.w.After(c.w.random.duration(5*time.Millisecond), func() { c.w.Cancel(op) })
	}
}

func (c *echo) Complete(op *proactor.Op) {
	if op == &c.recv {
		c.received(op)
	} else {
		c.sent(op)
	}
	c.flush()
}

func (c *echo) received(op *proactor.Op) {
	switch {
	case op.Res > 0 && op.Code == proactor.Recv:
		c.got = append(c.got, op.Buf[:op.Res]...)
	case op.Res > 0:
		c.got = append(c.got, op.Data...)
	case op.Res == 0:
		c.eof = true
	case op.Errno() == syscall.ECANCELED:
		c.w.After(c.w.random.duration(10*time.Millisecond), c.receive)
		return
	default:
		c.die()
	}
	c.receive()
}

func (c *echo) sent(op *proactor.Op) {
	if op.Res >= 0 {
		c.done += int(op.Res)
	} else if op.Errno() != syscall.ECANCELED {
		c.die()
	}
}

func (c *echo) die() {
	if !c.dead {
		c.dead = true
		c.w.broken++
	}
	c.w.Cancel(&c.recv)
	c.w.Cancel(&c.send)
}

// flush sends back what came, in one of the four ways, and closes at the end.
func (c *echo) flush() {
	rest := c.got[c.done:]
	switch {
	case c.closed || c.send.InFlight():
	case (c.dead || c.eof && len(rest) == 0) && !c.recv.InFlight():
		c.closed = true
		c.w.CloseFD(c.fd)
	case c.dead || len(rest) == 0:
	default:
		c.write(rest[:1+c.w.random.below(len(rest))])
	}
}

func (c *echo) write(b []byte) {
	half := len(b) / 2
	c.send = proactor.Op{Code: proactor.Send, FD: c.fd, Buf: b, Handler: c}
	switch c.w.random.below(5) {
	case 0:
		n, err := c.w.TrySend(c.fd, [][]byte{b[:half], b[half:]})
		if err != nil {
			c.die()
			c.flush()
			return
		}
		c.done += n
		if n > 0 {
			c.flush()
			return
		}
	case 1:
		c.send.Code, c.send.Buf, c.send.Bufs = proactor.SendMsg, nil, [][]byte{b[:half], b[half:]}
	case 2:
		c.send.Lazy = true
	}
	c.w.Submit(&c.send)
	c.maybeCancel(&c.send)
}

func (w *workload) over() bool {
	connections := 0
	for _, p := range w.peers {
		if !p.EOF() && p.Err() == nil {
			return false
		}
		if p.Connected() {
			connections++
		}
	}
	for _, c := range w.conns {
		if !c.closed {
			return false
		}
	}
	return w.trying == 0 && connections == len(w.conns)
}

func (w *workload) state() string {
	s := ""
	for i, p := range w.peers {
		s += fmt.Sprintf("peer %d: %d of %d back, pending %d, eof %v, %v\n",
			i, len(p.Received()), len(w.sent[i]), p.Pending(), p.EOF(), p.Err())
	}
	for _, c := range w.conns {
		s += fmt.Sprintf("fd %d: got %d, sent %d, eof %v, dead %v, closed %v, in flight %v %v\n",
			c.fd, len(c.got), c.done, c.eof, c.dead, c.closed,
			c.recv.InFlight(), c.send.InFlight())
	}
	h := w.History()
	return s + h[max(0, len(h)-3000):]
}

// end checks every stream and that nothing is left.
func (w *workload) end(seed uint64) {
	for i, p := range w.peers {
		got := p.Received()
		if !bytes.HasPrefix(w.sent[i], got) {
			w.t.Errorf("seed %d: peer %d received what it did not send", seed, i)
		}
		if w.broken == 0 && len(got) != len(w.sent[i]) {
			w.t.Errorf("seed %d: peer %d has %d of %d bytes back\n%s",
				seed, i, len(got), len(w.sent[i]), w.state())
		}
		p.Close()
	}
	w.SetFaults(Faults{})
	w.Wait(time.Second) // an accept may be about to begin again
	w.Cancel(&w.accept)
	for w.accept.InFlight() {
		w.Wait(time.Second)
	}
	w.CloseFD(w.accept.FD)
	for _, leak := range append(w.Leaks(), w.Violations()...) {
		if !strings.HasPrefix(leak, "a ring") &&
			leak != "an epoll instance" && !strings.HasPrefix(leak, "an eventfd") {
			w.t.Errorf("seed %d: left behind, or broken: %s", seed, leak)
		}
	}
	if err := w.Proactor.Close(); err != nil {
		w.t.Error(err)
	}
	for _, leak := range w.Leaks() {
		w.t.Errorf("seed %d: left behind: %s", seed, leak)
	}
}

// eachSeed runs f with the seeds that the flags ask for.
func eachSeed(t *testing.T, f func(seed uint64)) {
	if *onlySeed >= 0 {
		f(uint64(*onlySeed))
		return
	}
	for seed := range *seeds {
		f(seed)
		if t.Failed() {
			t.Fatalf("replay: go test -run %s -seed %d", t.Name(), seed)
		}
	}
}

func TestTheSameSeedGivesTheSameHistory(t *testing.T) { sameHistories(t, simulated) }

func TestTheSameSeedGivesTheSameHistoryOnARing(t *testing.T) { sameHistories(t, onARing) }

// sameHistories runs each seed twice.
func sameHistories(t *testing.T, open maker) {
	distinct := map[uint64]bool{}
	eachSeed(t, func(seed uint64) {
		faults := RandomFaults(seed)
		first, second := runWorkload(t, open, seed, faults), runWorkload(t, open, seed, faults)
		if first != second {
			t.Errorf("seed %d: histories %x and %x", seed, first, second)
		}
		distinct[first] = true
	})
	if *onlySeed < 0 && len(distinct) != int(*seeds) {
		t.Errorf("%d histories of %d seeds", len(distinct), *seeds)
	}
}

func TestWithoutFaultsEverythingComesBack(t *testing.T) {
	eachSeed(t, func(seed uint64) { runWorkload(t, simulated, seed, Faults{}) })
}

func TestWithoutFaultsEverythingComesBackOnARing(t *testing.T) {
	eachSeed(t, func(seed uint64) { runWorkload(t, onARing, seed, Faults{}) })
}
