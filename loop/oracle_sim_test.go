package loop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/sluice-net/sluice/loop/internal/hook"
	"github.com/sluice-net/sluice/loop/internal/iouring"
	"github.com/sluice-net/sluice/loop/internal/oracletest"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/simio"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// simStandstill is the real time after which a simulated loop that does not
// become quiet never will.
const simStandstill = 20 * time.Second

// The sizes of simulated buffers, which scenarios rely on: see oracletest.Env.Pair.
const (
	simBufferMin = 64 << 10
	simBufferMax = 256 << 10
)

var errNotQuiet = errors.New("the simulated loop does not become quiet")

// simEnv is a loop on a simulated kernel, in virtual time. The test's goroutine
// and the loop's take turns, so that a seed always gives the same history:
//
//	running --nothing is left to happen--> parked
//	parked --the test has posted something--> running
//
// While the loop is parked it waits inside the engine's Idle.
type simEnv struct {
	loopEnv
	world    *simio.World
	quiet    chan struct{} // the loop parks
	resume   chan struct{} // and goes on
	parked   bool
	services []*simio.Service // for the subject to connect to
}

// newSimEnv makes one on the simulated engine, or on the engine for io_uring on a
// simulated ring.
func newSimEnv(seed uint64, ring bool) *simEnv {
	e := &simEnv{quiet: make(chan struct{}), resume: make(chan struct{})}
	e.world = simio.NewWorld(simio.Options{Seed: seed, Idle: e.park,
		BufferMin: simBufferMin, BufferMax: simBufferMax, Loopback: true})
	var engine proactor.Proactor
	if ring {
		m := e.world.NewMachine()
		driven, err := iouring.NewOn(m, proactor.Config{})
		if err != nil {
			panic(err)
		}
		engine = m.Drive(driven)
	} else {
		engine = e.world.NewEngine(proactor.Config{})
	}
	e.loop = hook.New(engine, quietly(Auto)).(*Loop)
	return e
}

// park is called on the loop's goroutine when nothing is left to happen.
func (e *simEnv) park() {
	if e.ended == nil {
		return // the scenario runs the loop itself
	}
	e.quiet <- struct{}{}
	<-e.resume
}

func (e *simEnv) start() { e.run() }

func (e *simEnv) end() error {
	var waited error
	if e.ended != nil {
		waited = e.Settle()
		for _, s := range e.services {
			s.Close()
		}
		if e.parked {
			e.loop.Stop()
			e.unpark()
		}
	}
	err := errors.Join(waited, e.stop())
	for _, leak := range e.world.Leaks() {
		err = errors.Join(err, errors.New("left open: "+leak))
	}
	for _, v := range e.world.Violations() {
		err = errors.Join(err, errors.New("rule broken: "+v))
	}
	return err
}

func (e *simEnv) unpark() {
	e.parked = false
	e.resume <- struct{}{}
}

func (e *simEnv) Settle() error {
	if e.parked {
		return nil
	}
	select {
	case <-e.quiet:
		e.parked = true
		return nil
	case <-time.After(simStandstill):
		return errNotQuiet
	}
}

func (e *simEnv) Do(f func()) {
	done := make(chan struct{})
	e.CallSoonThreadsafe(func() {
		defer close(done)
		f()
	})
	<-done
}

// CallSoonThreadsafe posts while the loop is parked: otherwise it would depend
// on the machine's scheduler which round takes it.
func (e *simEnv) CallSoonThreadsafe(f func()) {
	if err := e.Settle(); err != nil {
		panic(err)
	}
	e.loop.CallSoonThreadsafe(f)
	e.unpark()
}

// Until gives up when cond neither holds nor sets anything in motion.
func (e *simEnv) Until(cond func() bool) error {
	for {
		if err := e.Settle(); err != nil {
			return err
		}
		before, held := e.world.HistoryHash(), false
		e.Do(func() { held = cond() })
		if held {
			return nil
		}
		if err := e.Settle(); err != nil {
			return err
		}
		if e.world.HistoryHash() == before {
			return oracletest.ErrQuiet
		}
	}
}

func (e *simEnv) Pair() (oracletest.Socket, oracletest.Peer, error) {
	fd, p := e.world.PeerPair()
	p.PauseReading()
	near := func() (*os.File, error) { return e.world.File(fd) }
	return pairSocket{e.loop, near}, &simPeer{peer: p}, nil
}

func (e *simEnv) Serve(factory protocol.Factory, deferred bool) (oracletest.Server, error) {
	s, err := newServer(e, e.loop, factory, deferred)
	if err != nil {
		return nil, err
	}
	addr := transport.Addr{AddrPort: s.Addrs()[0].(*net.TCPAddr).AddrPort()}
	dial := func() (oracletest.Peer, error) {
		p, err := e.world.DialNow(addr)
		if err != nil {
			return nil, err
		}
		return &simPeer{peer: p}, nil
	}
	return serverUnderTest{s, dial}, nil
}

func (e *simEnv) Connect(p protocol.Protocol, refused bool, done func(error)) (
	func() (oracletest.Peer, error), error,
) {
	var accepted *simio.Peer
	anyPort := transport.Addr{AddrPort: netip.MustParseAddrPort("127.0.0.1:0")}
	s, err := e.world.Serve(anyPort, func(p *simio.Peer) {
		p.PauseReading()
		accepted = p
	})
	if err != nil {
		return nil, err
	}
	e.services = append(e.services, s)
	addr := s.Addr().AddrPort.String()
	if refused {
		s.Close()
	}
	e.loop.CreateConnectionFunc(context.Background(), p, addr, nil,
		func(_ transport.Transport, err error) { done(err) })
	return func() (oracletest.Peer, error) {
		if accepted == nil {
			return nil, oracletest.ErrWouldBlock
		}
		return &simPeer{peer: accepted}, nil
	}, nil
}

// simPeer is a scripted peer that does not read by itself.
type simPeer struct {
	peer *simio.Peer
	kept []byte // received by Pending
}

// Send fills the far end's buffer in pieces: it is full when one is left over.
func (p *simPeer) Send(b []byte) (n int, err error) {
	const piece = 4 << 10
	for n < len(b) && p.peer.Pending() == 0 && p.peer.Err() == nil {
		size := min(piece, len(b)-n)
		p.peer.Send(b[n : n+size])
		n += size
	}
	return n, p.peer.Err()
}

func (p *simPeer) Recv(b []byte) (int, error) {
	if n := copy(b, p.kept); n > 0 {
		p.kept = p.kept[n:]
		return n, nil
	}
	n, err := p.peer.Recv(b)
	switch {
	case errors.Is(err, syscall.EAGAIN):
		return 0, oracletest.ErrWouldBlock
	case err == nil && n == 0:
		return 0, io.EOF
	}
	return n, err
}

func (p *simPeer) Pending() (string, error) {
	if len(p.kept) > 0 {
		return "data", nil
	}
	b := make([]byte, 1)
	switch n, err := p.Recv(b); {
	case errors.Is(err, oracletest.ErrWouldBlock):
		return "empty", nil
	case errors.Is(err, io.EOF):
		return "eof", nil
	case err != nil:
		return "", fmt.Errorf("peek: %w", err)
	default:
		p.kept = b[:n]
		return "data", nil
	}
}

func (p *simPeer) CloseWrite() error {
	p.peer.CloseWrite()
	return nil
}

func (p *simPeer) Close() error {
	p.peer.Close()
	return nil
}

func (p *simPeer) Reset() error {
	p.peer.Reset()
	return nil
}
