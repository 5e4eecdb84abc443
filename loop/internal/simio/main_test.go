package simio

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop/internal/leaktest"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// anywhere is a port of the loopback that the kernel chooses.
var anywhere = transport.Addr{AddrPort: netip.MustParseAddrPort("127.0.0.1:0")}

// ops counts completions and passes them on.
type ops func(op *proactor.Op)

func (f ops) Complete(op *proactor.Op) { f(op) }

// ignore is a handler for whom results are all the same.
var ignore = ops(func(*proactor.Op) {})

// rig is an engine in a test.
type rig struct {
	*testing.T
	*Engine
}

// newRig returns an engine whose world must be left tidy.
func newRig(t *testing.T, o Options) *rig {
	t.Helper()
	r := &rig{t, New(o)}
	r.must(r.Start())
	return r
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// turn is one Wait.
func (r *rig) turn(timeout time.Duration) {
	r.Helper()
	r.must(r.Wait(timeout))
}

// until makes turns until what holds, for a minute of virtual time.
func (r *rig) until(what string, holds func() bool) {
	r.Helper()
	end := r.Now() + time.Minute
	for !holds() {
		if r.Now() > end {
			r.Fatalf("a minute passed and not: %s\n%s", what, r.History())
		}
		r.turn(10 * time.Millisecond)
	}
}

// finish waits until op is idle and returns its result.
func (r *rig) finish(op *proactor.Op) int {
	r.Helper()
	r.until(op.Code.String()+" is idle", func() bool { return !op.InFlight() })
	return int(op.Res)
}

// do carries out one operation.
func (r *rig) do(op *proactor.Op) int {
	r.Helper()
	if op.Handler == nil {
		op.Handler = ignore
	}
	r.Submit(op)
	return r.finish(op)
}

// instant makes an operation that is over as soon as an engine takes it: a poll of a
// descriptor that does not exist.
func instant(complete func(op *proactor.Op)) *proactor.Op {
	return &proactor.Op{Code: proactor.Poll, FD: 1 << 20, Mask: pollIn,
		Handler: ops(complete)}
}

// listener returns a listening socket and its address.
func (r *rig) listener(backlog int) (int, transport.Addr) {
	r.Helper()
	fd, err := r.Socket(proactor.IPv4, proactor.Stream)
	r.must(err)
	r.must(r.Bind(fd, anywhere))
	r.must(r.Engine.Listen(fd, backlog))
	addr, err := r.LocalAddr(fd)
	r.must(err)
	return fd, addr
}

// accepted returns a TCP connection whose other end is a peer.
func (r *rig) accepted() (int, *Peer) {
	r.Helper()
	l, addr := r.listener(8)
	p := r.Dial(addr)
	fd := -1
	accept := &proactor.Op{Code: proactor.Accept, FD: l}
	accept.Handler = ops(func(op *proactor.Op) {
		if op.More {
			fd = int(op.Res)
			r.Cancel(op)
		}
	})
	r.do(accept)
	r.must(r.CloseFD(l))
	r.until("the peer knows", p.Connected)
	return fd, p
}

// panics demands a panic whose message has all the parts.
func (r *rig) panics(f func(), parts ...string) {
	r.Helper()
	defer func() {
		r.Helper()
		message, _ := recover().(string)
		for _, part := range parts {
			if !strings.Contains(message, part) {
				r.Errorf("panic %q has no %q", message, part)
			}
		}
	}()
	f()
}

// tidy demands that nothing is left.
func (r *rig) tidy() {
	r.Helper()
	if leaks := r.Leaks(); len(leaks) > 0 {
		r.Errorf("left behind: %s", strings.Join(leaks, "\n"))
	}
	if v := r.Violations(); len(v) > 0 {
		r.Errorf("rules broken: %s", strings.Join(v, "\n"))
	}
	r.must(r.Engine.Close())
}
