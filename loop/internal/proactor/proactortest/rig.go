// Package proactortest is the one suite that every engine passes. It uses both
// ends of a connection through the engine under test, so that it needs no
// kernel of its own: Run is for every engine, RunKernel for those on Linux.
package proactortest

import (
	"bytes"
	"net/netip"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop/internal/leaktest"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// Open makes the engine under test. It fails or skips t if it cannot.
type Open func(t *testing.T, cfg proactor.Config) proactor.Proactor

// waitTimeout is how long the engine's clock may run until something happens.
const waitTimeout = 10 * time.Second

// test is a subtest of the suite.
type test struct {
	name string
	run  func(r *rig)
	cfg  proactor.Config
}

// Run runs the suite on engines that open makes, one for each subtest.
func Run(t *testing.T, open func(t *testing.T, cfg proactor.Config) proactor.Proactor) {
	for _, tests := range [][]test{contractTests, streamTests, sendTests, keepTests, cancelTests,
		datagramTests, batchTests, groupTests, pollTests, pipeTests, memoryTests, fileTests,
		rightsTests, messageTests, spliceTests} {
		runAll(t, open, tests)
	}
}

// RunKernel runs what needs a real kernel below the engine.
func RunKernel(t *testing.T, open func(t *testing.T, cfg proactor.Config) proactor.Proactor) {
	runAll(t, open, kernelTests)
	runAll(t, open, loadTests)
}

func runAll(t *testing.T, open Open, tests []test) {
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			leaktest.Check(t)
			runtime.LockOSThread()
			r := &rig{T: t, cfg: tt.cfg}
			t.Cleanup(r.tearDown)
			r.Proactor = open(t, tt.cfg)
			if err := r.Start(); err != nil {
				t.Fatal("Start:", err)
			}
			tt.run(r)
		})
	}
}

// rig is an engine and what one subtest did with it.
type rig struct {
	*testing.T
	proactor.Proactor

	cfg     proactor.Config
	probes  []*probe
	fds     []int
	waiting bool
	closed  bool
}

// tearDown ends everything in the order that the contract demands: operations,
// descriptors, engine.
func (r *rig) tearDown() {
	defer runtime.UnlockOSThread()
	if r.Proactor == nil {
		return
	}
	if !r.closed {
		for _, p := range r.probes {
			r.Cancel(&p.op)
		}
		r.until("all operations have ended", func() bool {
			for _, p := range r.probes {
				if p.op.InFlight() {
					return false
				}
			}
			return true
		})
	}
	for _, fd := range r.fds {
		r.check(r.CloseFD(fd))
	}
	if !r.closed {
		r.check(r.Proactor.Close())
	}
}

// closeEngine closes the engine before the end of the subtest.
func (r *rig) closeEngine() {
	r.closed = true
	r.check(r.Proactor.Close())
}

func (r *rig) check(err error) {
	r.Helper()
	if err != nil {
		r.Error(err)
	}
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
	r.waiting = true
	err := r.Wait(timeout)
	r.waiting = false
	r.must(err)
}

// until makes turns until what holds.
func (r *rig) until(what string, holds func() bool) {
	r.Helper()
	end := r.Now() + waitTimeout
	for !holds() {
		if r.Now() > end {
			r.Fatalf("waited %v, and it is not so that %s", waitTimeout, what)
		}
		r.turn(20 * time.Millisecond)
	}
}

// settle makes turns until nothing is left that could happen.
func (r *rig) settle() {
	r.Helper()
	for range 5 {
		r.turn(2 * time.Millisecond)
	}
}

// result is one completion.
type result struct {
	res       int32
	more      bool
	truncated bool
	addr      transport.Addr
	size      int
	full      int // RecvMsg: Size
	segment   int
}

// probe is an operation and what became of it.
type probe struct {
	r     *rig
	op    proactor.Op
	about proactor.Message
	got   []result
	data  []byte // what was received, one after the other
	quiet bool   // nothing is recorded
	then  func(p *probe)
}

// probe makes an operation of code on fd.
func (r *rig) probe(code proactor.Code, fd int) *probe {
	p := &probe{r: r}
	p.op.Code, p.op.FD, p.op.Handler, p.op.Message = code, fd, p, &p.about
	r.probes = append(r.probes, p)
	return p
}

// instant makes an operation that is over as soon as an engine takes it: a poll of a
// descriptor that does not exist.
func (r *rig) instant() *probe {
	p := r.probe(proactor.Poll, noDescriptor)
	p.op.Mask = pollIn
	return p
}

const (
	noDescriptor  = 1 << 20
	instantResult = -int(syscall.EBADF)
)

// Complete records.
func (p *probe) Complete(op *proactor.Op) {
	if !p.r.waiting {
		p.r.Errorf("%v completed outside Wait", op.Code)
	}
	if op != &p.op {
		p.r.Errorf("%v completed with somebody else's address", op.Code)
	}
	if op.InFlight() != op.More {
		p.r.Errorf("%v: in flight %v with More %v", op.Code, op.InFlight(), op.More)
	}
	if !p.quiet {
		if len(op.Data) > 0 && int(op.Res) != len(op.Data) {
			p.r.Errorf("%v: Res %d with %d bytes", op.Code, op.Res, len(op.Data))
		}
		p.got = append(p.got, result{op.Res, op.More, p.about.Truncated, p.about.Addr,
			len(op.Data), p.about.Size, p.about.Segment})
		p.data = append(p.data, op.Data...)
	}
	if p.then != nil {
		p.then(p)
	}
}

// last is the newest completion.
func (p *probe) last() result {
	p.r.Helper()
	if len(p.got) == 0 {
		p.r.Fatalf("%v did not complete", p.op.Code)
	}
	return p.got[len(p.got)-1]
}

// submit submits and returns p.
func (p *probe) submit() *probe {
	p.r.Submit(&p.op)
	return p
}

// done waits until p is idle and returns its last completion.
func (p *probe) done() result {
	p.r.Helper()
	p.r.until(p.op.Code.String()+" is done", func() bool { return !p.op.InFlight() })
	return p.last()
}

// want waits until p is idle and demands the result.
func (p *probe) want(res int) {
	p.r.Helper()
	if got := p.done(); int(got.res) != res {
		p.r.Fatalf("%v: result %d, want %d", p.op.Code, got.res, res)
	}
}

// wantErrno waits until p is idle and demands one of the errors.
func (p *probe) wantErrno(errnos ...syscall.Errno) {
	p.r.Helper()
	got := p.done().res
	for _, errno := range errnos {
		if got == -int32(errno) {
			return
		}
	}
	p.r.Fatalf("%v: result %d, want one of %v", p.op.Code, got, errnos)
}

// receive waits until p has received n bytes.
func (p *probe) receive(n int) []byte {
	p.r.Helper()
	p.r.until("enough bytes have come", func() bool {
		return len(p.data) >= n || !p.op.InFlight()
	})
	if len(p.data) != n {
		p.r.Fatalf("%v: received %d bytes, want %d; last %+v", p.op.Code, len(p.data), n, p.last())
	}
	return p.data
}

// addrs is an address to bind to of each family.
var addrs = map[proactor.Family]transport.Addr{
	proactor.IPv4: {AddrPort: netip.MustParseAddrPort("127.0.0.1:0")},
	proactor.IPv6: {AddrPort: netip.MustParseAddrPort("[::1]:0")},
	proactor.Unix: {Path: "@sluice-proactortest"},
}

// socket makes a socket that tearDown closes.
func (r *rig) socket(family proactor.Family, kind proactor.Kind) int {
	r.Helper()
	fd, err := r.Socket(family, kind)
	r.must(err)
	r.fds = append(r.fds, fd)
	return fd
}

// closeFD closes fd before the end of the subtest.
func (r *rig) closeFD(fd int) {
	r.Helper()
	for i, open := range r.fds {
		if open == fd {
			r.fds = append(r.fds[:i], r.fds[i+1:]...)
		}
	}
	r.must(r.CloseFD(fd))
}

// listen makes a listener and returns its address.
func (r *rig) listen(family proactor.Family) (int, transport.Addr) {
	r.Helper()
	fd := r.socket(family, proactor.Stream)
	r.must(r.Bind(fd, addrs[family]))
	r.must(r.Listen(fd, 1024))
	addr, err := r.LocalAddr(fd)
	r.must(err)
	return fd, addr
}

// accept starts to accept; each connection's descriptor is for tearDown.
func (r *rig) accept(fd int) *probe { return r.acceptor(fd).submit() }

// acceptor is accept that is not submitted yet.
func (r *rig) acceptor(fd int) *probe {
	p := r.probe(proactor.Accept, fd)
	p.then = func(p *probe) {
		if p.op.Res >= 0 {
			r.fds = append(r.fds, int(p.op.Res))
		}
	}
	return p
}

// connect starts to connect a new socket.
func (r *rig) connect(family proactor.Family, addr transport.Addr) *probe {
	r.Helper()
	p := r.probe(proactor.Connect, r.socket(family, proactor.Stream))
	p.about.Addr = addr
	return p.submit()
}

// pairs returns n connections as both their ends, in the same order.
func (r *rig) pairs(family proactor.Family, n int) (clients, servers []int) {
	r.Helper()
	listener, addr := r.listen(family)
	accept := r.accept(listener)
	for i := range n {
		connect := r.connect(family, addr)
		connect.want(0)
		r.until("it is accepted", func() bool { return len(accept.got) > i })
		clients = append(clients, connect.op.FD)
		servers = append(servers, int(accept.got[i].res))
	}
	r.Cancel(&accept.op)
	accept.wantErrno(syscall.ECANCELED)
	r.closeFD(listener)
	return clients, servers
}

// pair returns one connection.
func (r *rig) pair(family proactor.Family) (client, server int) {
	r.Helper()
	clients, servers := r.pairs(family, 1)
	return clients[0], servers[0]
}

// send starts to send b.
func (r *rig) send(fd int, b []byte) *probe {
	p := r.probe(proactor.Send, fd)
	p.op.Buf = b
	return p.submit()
}

// pattern is n bytes that do not look alike, and that repeat after a prime number
// of them: a loop over megabytes is slow under the race detector.
func pattern(n int) []byte {
	b := make([]byte, n)
	x := uint32(n)*2654435761 + 1
	filled := min(n, 65521)
	for i := range b[:filled] {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x)
	}
	for filled < n {
		filled += copy(b[filled:], b[:filled])
	}
	return b
}

// same demands that got is want.
func (r *rig) same(got, want []byte) {
	r.Helper()
	if bytes.Equal(got, want) {
		return
	}
	i := 0
	for i < len(got) && i < len(want) && got[i] == want[i] {
		i++
	}
	r.Fatalf("%d bytes came, %d were sent, different at %d", len(got), len(want), i)
}

// panics demands that f panics.
func (r *rig) panics(what string, f func()) {
	r.Helper()
	defer func() {
		r.Helper()
		if recover() == nil {
			r.Errorf("%s did not panic", what)
		}
	}()
	f()
}
