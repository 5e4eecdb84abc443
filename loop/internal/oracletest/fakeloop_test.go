package oracletest

import (
	"errors"
	"io"
	"slices"
	"syscall"
	"time"

	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

var (
	errRunning      = errors.New("the loop is running")
	errLoopClosed   = errors.New("the loop is closed")
	errServerClosed = errors.New("the server is closed")
)

// fakeLoop is an Env of plain memory: a loop of some dozen lines in virtual
// time, with streams that do what the contract says. It shows that the runner
// works and that the traces written by hand can be had.
type fakeLoop struct {
	now                       time.Duration
	ready                     []*task
	timers                    []*task
	streams                   []*fakeStream
	handler                   func(string, error, transport.BaseProtocol)
	running, stopping, closed bool
}

type task struct {
	when      time.Duration
	run       func()
	cancelled bool
}

func (l *fakeLoop) Can(string) bool { return true }

func (l *fakeLoop) OnException(f func(string, error, transport.BaseProtocol)) { l.handler = f }

func (l *fakeLoop) ErrName(err error) string {
	return map[error]string{errRunning: "RUNNING", errLoopClosed: "LOOPCLOSED",
		errServerClosed: "SERVERCLOSED"}[err]
}

func (l *fakeLoop) Time() time.Duration { return l.now }

func (l *fakeLoop) CallSoon(f func()) func() {
	t := &task{run: f}
	l.ready = append(l.ready, t)
	return func() { t.cancelled = true }
}

func (l *fakeLoop) CallSoonThreadsafe(f func()) { l.CallSoon(f) }

func (l *fakeLoop) CallLater(d time.Duration, f func()) func() { return l.CallAt(l.now+d, f) }

func (l *fakeLoop) CallAt(when time.Duration, f func()) func() {
	t := &task{when: when, run: f}
	at := slices.IndexFunc(l.timers, func(o *task) bool { return o.when > when })
	if at < 0 {
		at = len(l.timers)
	}
	l.timers = slices.Insert(l.timers, at, t)
	return func() { t.cancelled = true }
}

// turn is one iteration. It reports whether anything happened.
func (l *fakeLoop) turn() (busy bool) {
	for _, s := range slices.Clone(l.streams) {
		busy = s.poll() || busy
	}
	for len(l.timers) > 0 && l.timers[0].when <= l.now {
		l.ready = append(l.ready, l.timers[0])
		l.timers = l.timers[1:]
	}
	batch := l.ready
	l.ready = nil
	for _, t := range batch {
		if !t.cancelled {
			l.guard("Exception in callback", nil, t.run)
		}
	}
	return busy || len(batch) > 0
}

// guard runs f and reports its panic.
func (l *fakeLoop) guard(message string, p transport.BaseProtocol, f func()) (failed error) {
	defer func() {
		if r := recover(); r != nil {
			failed = &protocol.PanicError{Value: r}
			l.handler(message, failed, p)
		}
	}()
	f()
	return nil
}

func (l *fakeLoop) Do(f func()) {
	done := false
	l.CallSoon(func() {
		defer func() { done = true }()
		f()
	})
	for !done {
		l.turn()
	}
}

func (l *fakeLoop) Settle() error {
	for range 10_000 {
		if !l.turn() {
			return nil
		}
	}
	return errors.New("the loop does not become quiet")
}

func (l *fakeLoop) Until(cond func() bool) error {
	for turns := 0; !cond(); turns++ {
		if turns > 10_000 {
			return ErrQuiet
		}
		if l.turn() {
			continue
		}
		if cond() {
			return nil
		}
		if len(l.timers) == 0 {
			return l.lastTry(cond)
		}
		l.now = l.timers[0].when
	}
	return nil
}

// lastTry is for what cond itself set in motion.
func (l *fakeLoop) lastTry(cond func() bool) error {
	for range 3 {
		if l.turn(); cond() {
			return nil
		}
	}
	return ErrQuiet
}

func (l *fakeLoop) RunForever() error {
	switch {
	case l.running:
		return errRunning
	case l.closed:
		return errLoopClosed
	}
	l.running = true
	for again := true; again; again = !l.stopping {
		l.turn()
	}
	l.running, l.stopping = false, false
	return nil
}

func (l *fakeLoop) Stop() { l.stopping = true }

func (l *fakeLoop) CloseLoop() error {
	if l.running {
		return errRunning
	}
	l.closed, l.ready, l.timers = true, nil, nil
	return nil
}

// wire is a connection: what was sent each way and not yet received.
type wire struct {
	toPeer, toSubject       []byte
	peerEOF, subjectEOF     bool // sent by the peer, by the subject
	peerGone, subjectGone   bool
	resetSubject, resetPeer bool
	tcp                     bool
}

const wireSize = 200 << 10

// take moves what fits from src to the end of dst.
func take(dst *[]byte, src []byte) int {
	n := max(0, min(len(src), wireSize-len(*dst)))
	*dst = append(*dst, src[:n]...)
	return n
}

type fakePeer struct{ w *wire }

func (p fakePeer) Send(b []byte) (int, error) {
	if p.w.subjectGone {
		return 0, syscall.EPIPE
	}
	return take(&p.w.toSubject, b), nil
}

func (p fakePeer) Recv(b []byte) (int, error) {
	n := copy(b, p.w.toPeer)
	p.w.toPeer = p.w.toPeer[n:]
	switch {
	case n > 0:
		return n, nil
	case p.w.resetPeer:
		return 0, syscall.ECONNRESET
	case p.w.subjectEOF:
		return 0, io.EOF
	}
	return 0, ErrWouldBlock
}

func (p fakePeer) Pending() (string, error) {
	switch {
	case len(p.w.toPeer) > 0:
		return "data", nil
	case p.w.subjectEOF:
		return "eof", nil
	}
	return "empty", nil
}

func (p fakePeer) CloseWrite() error { p.w.peerEOF = true; return nil }
func (p fakePeer) Close() error      { p.w.peerEOF, p.w.peerGone = true, true; return nil }
func (p fakePeer) Reset() error      { p.w.resetSubject = true; return p.Close() }

type fakeSocket struct {
	l *fakeLoop
	w *wire
}

func (s fakeSocket) Attach(p protocol.Protocol, done func(error)) {
	s.l.CallSoon(func() {
		newFakeStream(s.l, s.w, p)
		s.l.CallSoon(func() { done(nil) })
	})
}

func (l *fakeLoop) Pair() (Socket, Peer, error) {
	w := &wire{}
	return fakeSocket{l, w}, fakePeer{w}, nil
}

func (l *fakeLoop) Connect(p protocol.Protocol, refused bool, done func(error)) (
	func() (Peer, error), error,
) {
	w := &wire{tcp: true}
	if refused {
		l.CallSoon(func() { done(syscall.ECONNREFUSED) })
	} else {
		fakeSocket{l, w}.Attach(p, done)
	}
	return func() (Peer, error) { return fakePeer{w}, nil }, nil
}
