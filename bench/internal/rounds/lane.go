package rounds

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sluice-net/sluice/bench/internal/contest"
	"github.com/sluice-net/sluice/bench/internal/load"
	"github.com/sluice-net/sluice/bench/internal/syscount"
)

const (
	// settleTime is how long a server is given, after its last message, to go
	// to sleep: then its CPU time is exact.
	settleTime = 300 * time.Microsecond

	// acceptMax is how long a server may take to accept its connections.
	acceptMax = 10 * time.Second

	// verifyPart is what part of a turn's length more it begins with where the load
	// does not compare every byte otherwise. That time counts for nothing else.
	verifyPart = 10

	latencyMax    = int64(time.Minute)
	latencyDigits = 3
)

// errNothing says that slices went by without a message.
var errNothing = errors.New("rounds: the server moved no message")

// A lane is one contestant at one workload: a server process, connections to
// it, and what they did so far.
type lane struct {
	contestant Contestant
	workload   Workload
	process    *contest.Process
	pool       *load.Pool
	backend    *load.Backend // behind a proxy, else nil
	note       string
	err        error // the first; the lane then does no more
	foreign    bool  // the process is another program's

	messages   int64
	late       int64
	lost       int64
	cpu        []float64 // server, ns for a message, by round
	perSecond  []float64
	serverBusy []float64
	loadBusy   []float64
	latency    *hdrhistogram.Histogram
	mallocs    uint64 // before the first round
	allocs     *float64
	syscalls   *float64
}

// check keeps the lane's first error.
func (l *lane) check(err error) {
	if l.err == nil {
		l.err = err
	}
}

// open starts the server, connects, and has every byte of a short slice
// compared. That also warms the server up.
func (l *lane) open(r *Runner, w Workload) (err error) {
	target := ""
	if w.Kind == load.Relay {
		if l.backend, err = load.Listen(); err != nil {
			return err
		}
		target = l.backend.Addr()
	}
	l.process, err = contest.Start(contest.Spec{Server: l.contestant.Server, Mode: w.Mode,
		Target: target, Size: w.Size, CPU: r.ServerCPU, Program: l.contestant.Program})
	if err != nil {
		return err
	}
	l.note = l.process.Note
	if !w.Mode.Works() {
		if err := l.dial(r, w); err != nil {
			return err
		}
	}
	if err := l.awaitAccepted(w); err != nil || w.Idle {
		return err
	}
	if err := l.verify(r.Slice / 2); err != nil {
		return err
	}
	if w.timed() {
		l.latency = hdrhistogram.New(1, latencyMax, latencyDigits)
	}
	if l.process.Foreign() {
		return nil
	}
	l.mallocs, err = l.process.Mallocs()
	return err
}

// verify does a slice in which every byte is compared.
func (l *lane) verify(length time.Duration) error {
	page := l.process.Page
	page.Verify.Store(true)
	defer page.Verify.Store(false)
	_, err := l.fruitful(load.Slice{Time: length, Verify: true})
	return err
}

// dial connects the load.
func (l *lane) dial(r *Runner, w Workload) (err error) {
	options := r.load(w)
	options.Backend, options.Received = l.backend, l.process.Page.Received.Load
	l.pool, err = load.Dial(l.process.Addr, options)
	return err
}

// load is what load w takes, but for what depends on the server.
func (r *Runner) load(w Workload) load.Options {
	return load.Options{Kind: w.Kind, Conns: w.Conns, Size: w.Size, Depth: w.Depth,
		Rate: w.Rate, Poisson: w.Poisson, Sleep: r.Sleep, Epoll: r.EpollLoad,
		Datagrams: w.Mode == contest.Datagrams, TLS: w.Mode == contest.EchoTLS}
}

// awaitAccepted returns when the server has all the connections.
func (l *lane) awaitAccepted(w Workload) error {
	conns := w.Conns
	if l.process.Uncounted || w.Kind == load.Churn { // which has none before its slices
		return nil
	}
	end := time.Now().Add(acceptMax)
	for l.process.Page.Conns.Load() < int64(conns) {
		if time.Now().After(end) {
			return fmt.Errorf("rounds: after %v the server has accepted %d of %d connections",
				acceptMax, l.process.Page.Conns.Load(), conns)
		}
		runtime.Gosched()
	}
	return nil
}

// slice is one slice of load, and fails if the server found wrong bytes.
func (l *lane) slice(s load.Slice) (load.Outcome, error) {
	if l.workload.Mode.Works() {
		began := time.Now()
		n, err := l.process.Work(s.Time)
		return load.Outcome{Messages: n, Elapsed: time.Since(began)}, err
	}
	out, err := l.pool.Run(s)
	if err == nil && l.process.Page.Mismatched.Load() > 0 {
		err = l.mismatch()
	}
	return out, err
}

// mismatch is the error where the server found wrong bytes.
func (l *lane) mismatch() error {
	port, offset, ok := l.process.Page.Mismatch()
	if !ok {
		return fmt.Errorf("%w, as the server found", load.ErrMismatch)
	}
	return &load.Mismatch{Conn: l.pool.ByPort(port), Offset: offset,
		What: "not what was sent, as the server found"}
}

// barrenMax is how many slices in a row may go by without a message.
const barrenMax = 6

// fruitful is a slice with a message at least: on a machine that others use, a short
// one can be over before the load has had its turn.
func (l *lane) fruitful(s load.Slice) (load.Outcome, error) {
	for range barrenMax {
		out, err := l.slice(s)
		if err != nil || out.Messages > 0 {
			return out, err
		}
		s.Time *= 2
	}
	return load.Outcome{}, errNothing
}

// measure does a slice and notes what it took the server. Where not every byte of
// it is compared, one comes before of which each is.
func (l *lane) measure(length time.Duration) error {
	if l.err != nil {
		return nil
	}
	if l.workload.oneWay() {
		if err := l.verify(length / verifyPart); err != nil {
			return err
		}
		settle()
	}
	if l.workload.Steady {
		return l.measureMiddle(length)
	}
	before, err := l.process.CPU()
	if err != nil {
		return err
	}
	out, err := l.fruitful(load.Slice{Time: length, Latency: l.latency})
	if err != nil {
		return err
	}
	settle()
	after, err := l.process.CPU()
	if err != nil {
		return err
	}
	l.record(out, after-before)
	return nil
}

// warmPart is which part of a slice's length passes before a steady one is measured.
const warmPart = 4

// measureMiddle measures while all connections are busy, without the beginning and the
// end of the slice. A server's CPU time is then behind by up to a scheduler's tick.
func (l *lane) measureMiddle(length time.Duration) error {
	for range barrenMax {
		var times []time.Duration
		var errs []error
		out, err := l.slice(load.Slice{Warm: length / warmPart, Time: length, Mark: func() {
			t, err := l.process.CPU()
			times, errs = append(times, t), append(errs, err)
		}})
		if err = errors.Join(append(errs, err)...); err != nil {
			return err
		}
		if out.Messages > 0 {
			l.record(out, times[1]-times[0])
			return nil
		}
		length *= 2 // as in fruitful
	}
	return errNothing
}

// record keeps what a slice brought, and the server's CPU time for it.
func (l *lane) record(out load.Outcome, cpu time.Duration) {
	spent, elapsed := float64(cpu), float64(out.Elapsed)
	l.messages += out.Messages
	l.late += out.Late
	l.lost += out.Lost
	l.cpu = append(l.cpu, spent/float64(out.Messages))
	l.perSecond = append(l.perSecond, float64(out.Messages)/out.Elapsed.Seconds())
	l.serverBusy = append(l.serverBusy, spent/elapsed)
	l.loadBusy = append(l.loadBusy, float64(out.Busy)/elapsed)
}

// settle spins: a timer is not exact enough.
func settle() {
	for began := time.Now(); time.Since(began) < settleTime; {
		runtime.Gosched()
	}
}

// countMallocs divides the server's allocations since open by the messages. A
// handful of them are the answer's own.
func (l *lane) countMallocs() error {
	if l.err != nil || l.process.Foreign() {
		return nil
	}
	after, err := l.process.Mallocs()
	if err != nil {
		return err
	}
	allocs := float64(after-l.mallocs) / float64(l.messages)
	l.allocs = &allocs
	return nil
}

// A counterError says that system calls cannot be counted.
type counterError struct{ err error }

func (e *counterError) Error() string { return e.err.Error() }

func (l *lane) countSyscalls(length time.Duration) error {
	counter, err := syscount.Open(l.process.Pid())
	if err != nil {
		return &counterError{err}
	}
	defer counter.Close()
	out, err := l.slice(load.Slice{Time: length})
	if err != nil {
		return err
	}
	settle()
	n, err := counter.Count()
	if err != nil {
		return &counterError{err}
	}
	if out.Messages > 0 {
		each := float64(n) / float64(out.Messages)
		l.syscalls = &each
	}
	return nil
}

// close ends the server. That it ends badly is the lane's error.
func (l *lane) close() {
	if l.pool != nil {
		l.pool.Close()
	}
	if l.process != nil {
		l.check(l.process.Stop())
	}
	if l.backend != nil {
		l.backend.Close()
	}
	l.pool, l.process, l.backend = nil, nil, nil
}
