package pressure

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/sluice-net/sluice/uring"
)

// eventsUntil collects events until one is wanted.
func eventsUntil(t *testing.T, tracer *Tracer, wanted func(Event) bool) []Event {
	t.Helper()
	waitTimeout := time.AfterFunc(30*time.Second, func() { tracer.Close() })
	defer waitTimeout.Stop()
	var out []Event
	for e, err := range tracer.Events() {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
		if wanted(e) {
			return out
		}
	}
	t.Fatalf("what was wanted is not in %+v", out)
	return nil
}

func TestStatesAreReportedInOrder(t *testing.T) {
	needBPF(t)
	tracer := attachHere(t, Options{})
	a, b := tcpPair(t)
	cookie := connAt(t, snapshot(t, tracer), a.LocalAddr()).Cookie
	a.Close()
	b.Close()
	events := eventsUntil(t, tracer, func(e Event) bool {
		return e.Kind == EventState && e.Cookie == cookie && tcpState(uint8(e.Value)) == "time-wait"
	})
	var states []string
	for _, e := range events {
		if e.Kind == EventState && e.Cookie == cookie {
			states = append(states, tcpState(uint8(e.Value)))
		}
	}
	if len(states) < 4 || states[0] != "syn-sent" || states[1] != "established" ||
		states[2] != "fin-wait-1" {
		t.Errorf("states are %v", states)
	}
}

// attached reports whether a probe is running: older kernels lack some hooks.
func attached(tracer *Tracer, name string) bool {
	for _, p := range tracer.Support().Probes {
		if p.Name == name {
			return p.Status == ProbeAttached
		}
	}
	return false
}

// The times at which the window closes and opens are exact, and the time between
// them is in the snapshot.
func TestAClosedWindowIsReported(t *testing.T) {
	needBPF(t)
	tracer := attachHere(t, Options{Level: LevelEdges | LevelFlow, Duration: -1})
	a, b := tcpPair(t)
	snapshot(t, tracer)
	written := fillUntilBlocked(a)
	events := eventsUntil(t, tracer, func(e Event) bool { return e.Kind == EventPeerClosed })
	if c := connAt(t, snapshot(t, tracer), a.LocalAddr()); !c.Edges.PeerClosed ||
		c.Edges.ZeroWindows != 1 || c.Edges.ZeroWindowTime <= 0 {
		t.Errorf("%+v", c.Edges)
	} else if attached(tracer, "send_len") && c.Edges.SendBlocked == 0 {
		t.Errorf("no EAGAIN in %+v", c.Edges)
	}
	closed := events[len(events)-1]
	b.SetReadDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.CopyN(io.Discard, b, written); err != nil {
		t.Fatal(err)
	}
	events = eventsUntil(t, tracer, func(e Event) bool { return e.Kind == EventPeerOpened })
	opened := events[len(events)-1]
	if got := time.Duration(opened.Value); got != opened.Time-closed.Time {
		t.Logf("closed for %v, edges %v apart", got, opened.Time-closed.Time)
	}
	if opened.Cookie != closed.Cookie || opened.Time <= closed.Time {
		t.Errorf("closed %+v, opened %+v", closed, opened)
	}
	if h := tracer.Histogram(HistogramSojourn, 0); attached(tracer, "recv_len") && h.Count() == 0 {
		t.Error("no sojourn times")
	}
}

func TestLatencyOfRequestsIsMeasured(t *testing.T) {
	needBPF(t)
	ring, _ := newRing(t, nil)
	o := Options{Level: LevelEdges | LevelRing, SampleLatency: 1, Duration: -1}
	tracer := attachHere(t, o)
	const requests, each = 10, 2 * time.Millisecond
	op := uint8(0)
	wait := uring.NewTimespec(each)
	for i := range requests {
		sqe := ring.SQE()
		sqe.PrepTimeout(&wait, 0, 0)
		sqe.SetUserData(uint64(i + 1))
		op = sqe.Opcode()
		for ring.Ready() == 0 {
			if _, err := ring.SubmitAndWait(1, time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		ring.Advance(1)
	}
	h := tracer.Histogram(HistogramLatency, op)
	if h.Count() != requests {
		t.Errorf("%d requests timed, want %d", h.Count(), requests)
	}
	if p10 := h.Quantile(0.1); p10 < float64(each)/2 || p10 > 1e9 {
		t.Errorf("a tenth took less than %v ns, each takes %v", p10, each)
	}
	if h := tracer.Histogram(HistogramWait, 0); h.Count() == 0 {
		t.Error("no waits")
	}
}

// The levels that cost every process of the host something end by themselves; the
// others continue.
func TestCostlyLevelsExpire(t *testing.T) {
	needBPF(t)
	tracer := attachHere(t, Options{Level: LevelEdges | LevelRing, Duration: time.Millisecond})
	waitTimeout := time.NewTimer(30 * time.Second)
	defer waitTimeout.Stop()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	status := func(name string) ProbeStatus {
		for _, p := range tracer.Support().Probes {
			if p.Name == name {
				return p.Status
			}
		}
		return ProbeOff
	}
	for status("cq_wait") != ProbeExpired {
		select {
		case <-waitTimeout.C:
			t.Fatalf("cq_wait is %v", status("cq_wait"))
		case <-ticker.C:
		}
	}
	if got := status("punt"); got != ProbeAttached {
		t.Errorf("punt is %v", got)
	}
}

func TestRateIsLimitedAndCountsAreNot(t *testing.T) {
	needBPF(t)
	ring, of := newRing(t, &uring.Options{CQEntries: 8, Without: uring.SetupDeferTaskrun})
	tracer := attachHere(t, Options{})
	before := snapshot(t, tracer)
	const overflows = 3000
	nops(t, ring, 8+overflows, nil)
	after := snapshot(t, tracer)
	if got := of(after).Edges.Overflows - of(before).Edges.Overflows; got != overflows {
		t.Errorf("%d overflows, want %d", got, overflows)
	}
	if tracer.Lost() == 0 {
		t.Error("nothing was left out")
	}
}

func TestAfterCloseThereIsNothing(t *testing.T) {
	for _, level := range []Level{LevelProcess, LevelDefault} {
		tracer, err := Attach(t.Context(), Options{Level: level})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := tracer.Close(); err != nil {
				t.Error(err)
			}
		}
		if _, err := tracer.Snapshot(); !errors.Is(err, ErrClosed) {
			t.Errorf("snapshot: %v", err)
		}
		for e := range tracer.Events() {
			t.Errorf("event %+v", e)
		}
		if tracer.Lost() != 0 || tracer.Histogram(HistogramWait, 0).Count() != 0 {
			t.Error("counts after close")
		}
	}
}

func TestNoSuchProcess(t *testing.T) {
	_, err := Attach(t.Context(), Options{PID: 1 << 22})
	if !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("error is %v", err)
	}
}

// LevelFuncs needs fexit, which some machines refuse: the table then says so.
func TestOurOwnClosedWindowIsReported(t *testing.T) {
	needBPF(t)
	tracer := attachHere(t, Options{Level: LevelEdges | LevelFuncs, Duration: -1})
	for _, p := range tracer.Support().Probes {
		if p.Name == "own_window" && p.Status != ProbeAttached {
			if p.Status != ProbeRefused || p.Why == "" || p.Remedy == "" {
				t.Errorf("it does not say why: %+v", p)
			}
			t.Skipf("needs fexit: %s", p.Why)
		}
	}
	a, b := tcpPair(t)
	snapshot(t, tracer)
	fillUntilBlocked(a)
	eventsUntil(t, tracer, func(e Event) bool { return e.Kind == EventOwnClosed })
	if c := connAt(t, snapshot(t, tracer), b.LocalAddr()); c.Edges.OwnZeroWindows == 0 {
		t.Errorf("%+v", c.Edges)
	}
}

// fillUntilBlocked writes data that nobody reads until none has been taken for a while,
// and returns how much was. On a busy machine a deadline may be over before the write that
// it is for has begun.
func fillUntilBlocked(c net.Conn) (written int64) {
	buf := make([]byte, 64<<10)
	for refused := 0; refused < 3; refused++ {
		c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		n, err := c.Write(buf)
		written += int64(n)
		if n > 0 {
			refused = -1
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
	}
	return written
}

// net.Listen creates MPTCP listeners; a dialer does so if asked.
func TestMultipathConnectionsAreSeen(t *testing.T) {
	needBPF(t)
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var dialer net.Dialer
	dialer.SetMultipathTCP(true)
	a, err := dialer.Dial("tcp4", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if multi, err := a.(*net.TCPConn).MultipathTCP(); err != nil || !multi {
		t.Skip("needs MPTCP")
	}
	fillUntilBlocked(a)
	tracer := attachHere(t, Options{})
	s := snapshot(t, tracer)
	sender, receiver := connAt(t, s, a.LocalAddr()), connAt(t, s, b.LocalAddr())
	if !sender.MPTCP || sender.Queued == 0 || sender.MSS == 0 || sender.BytesAcked == 0 {
		t.Errorf("sender %+v", sender)
	}
	if !receiver.MPTCP || receiver.InQueue == 0 || receiver.BytesReceived == 0 {
		t.Errorf("receiver %+v", receiver)
	}
}

// If a kernel has a hook, the verifier accepts the program for it; but functions
// may be refused by policy.
func TestTheVerifierTakesAllPrograms(t *testing.T) {
	needBPF(t)
	support := probeOnce()
	t.Logf("%s", support)
	for _, p := range support.Probes {
		if p.Level != LevelFuncs && p.Status != ProbeAvailable && p.Status != ProbeAbsent {
			t.Errorf("%s is %v: %s", p.Name, p.Status, p.Why)
		}
	}
}

func TestASuspendedTracerCountsNothing(t *testing.T) {
	needBPF(t)
	tracer := attachHere(t, Options{})
	suspended := func(want ProbeStatus) {
		t.Helper()
		for _, p := range tracer.Support().Probes {
			if p.Level == LevelEdges && p.Status != want && p.Status != ProbeAbsent {
				t.Errorf("%s is %v, want %v", p.Name, p.Status, want)
			}
		}
	}
	for range 2 {
		if err := tracer.Suspend(); err != nil {
			t.Fatal(err)
		}
		suspended(ProbeAvailable)
		if _, err := tracer.Snapshot(); err != nil {
			t.Error(err)
		}
		if err := tracer.Resume(); err != nil {
			t.Fatal(err)
		}
		suspended(ProbeAttached)
	}
	if err := errors.Join(tracer.Suspend(), tracer.Close()); err != nil {
		t.Error(err)
	}
	if err := tracer.Resume(); err != ErrClosed {
		t.Errorf("Resume after Close: %v", err)
	}
}
