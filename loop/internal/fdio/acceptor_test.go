package fdio

import (
	"errors"
	"io"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop/internal/page"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// acceptRig is a host and an engine for one acceptor: what it submits waits for
// the test to complete it.
type acceptRig struct {
	proactor.Proactor
	t        *testing.T
	op       *proactor.Op
	submits  int
	closed   []int
	reports  []Exception
	rest     time.Duration
	f        func() // of the timer
	debug    atomic.Bool
	accepted []int
	stopped  bool
}

func (r *acceptRig) Engine() proactor.Proactor { return r }
func (r *acceptRig) Soon(Task)                 { r.t.Error("Soon") }
func (r *acceptRig) Dirty(Flusher)             { r.t.Error("Dirty") }
func (r *acceptRig) Chunks() *ChunkPool        { return nil }
func (r *acceptRig) Pipes() *PipePool          { return nil }
func (r *acceptRig) Report(e Exception)        { r.reports = append(r.reports, e) }
func (r *acceptRig) Check()                    {}
func (r *acceptRig) Fallback(string, error)    { r.t.Error("Fallback") }
func (r *acceptRig) Debug() *atomic.Bool       { return &r.debug }
func (r *acceptRig) Enter(string, any)         {}
func (r *acceptRig) Leave()                    {}
func (r *acceptRig) FlowPage() *page.Page      { return nil }

func (r *acceptRig) Paused(transport.BaseTransport, int, transport.Limits)  {}
func (r *acceptRig) Resumed(transport.BaseTransport, int, transport.Limits) {}
func (r *acceptRig) Note(string, transport.BaseTransport, ...any)           {}

func (r *acceptRig) StopListening(int) error { r.stopped = true; return nil }

func (r *acceptRig) Socket(proactor.Family, proactor.Kind) (int, error) { return spareFD, nil }

func (r *acceptRig) After(d time.Duration, f func()) Timer {
	r.rest, r.f = d, f
	return rigTimer{r}
}

func (r *acceptRig) CloseFD(fd int) error {
	r.closed = append(r.closed, fd)
	return nil
}

func (r *acceptRig) Submit(op *proactor.Op) {
	op.Begin()
	r.op = op
	r.submits++
}

func (r *acceptRig) Cancel(op *proactor.Op) { op.BeginCancel() }

// rigTimer is the timer that the rig was asked for last.
type rigTimer struct{ r *acceptRig }

func (t rigTimer) Cancel() { t.r.f = nil }

// fire ends the rest.
// Prefetch implements Host.
func (r *acceptRig) Prefetch(io.ReaderAt, int64, int, func()) {}

func (r *acceptRig) fire() {
	r.t.Helper()
	if r.f == nil {
		r.t.Fatal("no timer is running")
	}
	f := r.f
	r.f = nil
	f()
}

// The descriptors of the rig.
const (
	listenFD = 3
	spareFD  = 99
)

// newAcceptRig starts an acceptor.
func newAcceptRig(t *testing.T) (*acceptRig, *Acceptor) {
	r := &acceptRig{t: t}
	a := NewAcceptor(r, listenFD, func(fd int) { r.accepted = append(r.accepted, fd) })
	a.Start()
	if r.submits != 1 {
		t.Fatalf("%d accepts are under way", r.submits)
	}
	return r, a
}

func TestS253_ErrorsOfAcceptAreReportedAndTheListenerStays(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EPERM, syscall.EPROTO, syscall.ECONNABORTED} {
		t.Run(errno.Error(), func(t *testing.T) {
			r, a := newAcceptRig(t)
			r.op.Deliver(-int32(errno), false, nil)
			if len(r.reports) != 1 || r.reports[0].Message != "Error accepting a connection" ||
				!errors.Is(r.reports[0].Err, errno) {
				t.Errorf("reported %v", r.reports)
			}
			if r.submits != 1 || r.rest != retryAfter {
				t.Errorf("%d accepts, the next after %v", r.submits, r.rest)
			}
			r.fire()
			r.op.Deliver(-int32(errno), false, nil) // the same outage
			r.fire()
			if len(r.reports) != 1 || r.submits != 3 {
				t.Errorf("%d reports of one outage, %d accepts", len(r.reports), r.submits)
			}
			r.op.Deliver(7, true, nil)
			r.op.Deliver(-int32(errno), false, nil) // another one
			if len(r.reports) != 2 || len(r.accepted) != 1 || r.accepted[0] != 7 {
				t.Errorf("%d reports, accepted %v", len(r.reports), r.accepted)
			}
			a.Close(nil)
			if r.f != nil {
				t.Error("the timer outlives Close")
			}
		})
	}
}

// outOf are the errors that say that accept lacks something.
var outOf = []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM}

func TestS248_OutOfResourcesIsReportedAndTriedAgainAfterASecond(t *testing.T) {
	for _, errno := range outOf {
		t.Run(errno.Error(), func(t *testing.T) {
			r, a := newAcceptRig(t)
			r.op.Deliver(-int32(errno), false, nil)
			if r.op.InFlight() { // with the spare descriptor's place
				r.op.Deliver(-int32(errno), false, nil)
			}
			if len(r.reports) != 1 || !errors.Is(r.reports[0].Err, errno) ||
				r.reports[0].Message != "socket.accept() out of system resource" {
				t.Errorf("reported %v", r.reports)
			}
			if r.op.InFlight() || r.rest != time.Second {
				t.Errorf("accepting %v, tries again after %v", r.op.InFlight(), r.rest)
			}
			r.fire()
			if !r.op.InFlight() {
				t.Error("does not try again")
			}
			r.op.Deliver(7, true, nil)
			if len(r.accepted) != 1 || r.accepted[0] != 7 {
				t.Errorf("accepted %v", r.accepted)
			}
			a.Close(nil)
		})
	}
}

func TestS249_WithoutDescriptorsClientsAreTurnedAwayWithoutSpinning(t *testing.T) {
	r, a := newAcceptRig(t)
	r.op.Deliver(-int32(syscall.EMFILE), false, nil)
	if len(r.closed) != 1 || r.closed[0] != spareFD || !r.op.InFlight() {
		t.Fatalf("closed %v, accepting %v: the spare was not given up", r.closed, r.op.InFlight())
	}
	for fd := 7; fd < 10; fd++ { // one place, one client after the other
		r.op.Deliver(int32(fd), true, nil)
		r.op.Deliver(-int32(syscall.EMFILE), false, nil)
		if last := r.closed[len(r.closed)-1]; last != fd || !r.op.InFlight() {
			t.Errorf("closed %v, accepting %v", r.closed, r.op.InFlight())
		}
	}
	submits := r.submits
	r.op.Deliver(-int32(syscall.EMFILE), false, nil) // somebody else has taken the place
	if r.submits != submits || r.op.InFlight() {
		t.Error("tries again at once what cannot succeed")
	}
	r.fire()
	if !r.op.InFlight() {
		t.Error("does not accept after a second")
	}
	r.op.Deliver(20, true, nil)
	if len(r.accepted) != 1 || r.accepted[0] != 20 || len(r.reports) != 1 {
		t.Errorf("accepted %v, %d reports of one outage", r.accepted, len(r.reports))
	}
	a.Close(nil)
}

func TestS233_ConnectionsAcceptedAfterCloseAreClosed(t *testing.T) {
	r, a := newAcceptRig(t)
	released := 0
	a.Close(func() { released++ })
	r.op.Deliver(7, true, nil)
	r.op.Deliver(8, true, nil)
	if released != 0 || len(r.closed) != 2 {
		t.Errorf("closed %v before the accept has ended", r.closed)
	}
	r.op.Deliver(-int32(syscall.ECANCELED), false, nil)
	if len(r.accepted) != 0 || len(r.reports) != 0 || released != 1 {
		t.Errorf("accepted %v, reported %v, released %d times", r.accepted, r.reports, released)
	}
	if want := []int{7, 8, spareFD, listenFD}; len(r.closed) != 4 || r.closed[3] != want[3] ||
		r.closed[2] != want[2] {
		t.Errorf("closed %v, want %v", r.closed, want)
	}
}

func TestCloseOfASharedListenerPassesOnWhatWasAccepted(t *testing.T) {
	for _, shared := range []bool{false, true} {
		r, a := newAcceptRig(t)
		if shared {
			a.Share()
		}
		a.Close(nil)
		r.op.Deliver(7, true, nil)
		r.op.Deliver(-int32(syscall.ECANCELED), false, nil)
		if got := len(r.accepted) == 1; got != shared {
			t.Errorf("shared %v: accepted %v, closed %v", shared, r.accepted, r.closed)
		}
		if r.stopped == shared {
			t.Errorf("shared %v: shut down %v", shared, r.stopped)
		}
	}
}
