package pressure

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Diagnose applies all rules and returns their findings, the most severe first. It
// returns none if nothing is wrong.
func Diagnose(e Evidence) []Finding {
	if len(e.Snapshots) < 2 {
		return nil
	}
	if e.Accounts == nil {
		e.Accounts = integrate(e.Snapshots)
	}
	d := newDiagnosis(e)
	for _, a := range e.Accounts {
		d.connection(&a)
	}
	d.listeners()
	d.datagrams()
	d.pipes()
	d.unix()
	d.rings()
	d.process()
	slices.SortStableFunc(d.found, func(a, b Finding) int {
		return cmp.Compare(b.Severity, a.Severity)
	})
	return d.found
}

// The thresholds of the rules.
const (
	// fullShare is the fraction of snapshots in which a pipe or Unix socket must be
	// full.
	fullShare = 0.5
	// busyFrom is the fraction of its time that a loop must work to be called busy.
	busyFrom = 0.95
	// stuckFrom is how long one callback may take.
	stuckFrom = 100 * time.Millisecond
	// puntsASecond and starvedASecond are the rates above which punts and
	// starvation matter.
	puntsASecond   = 100
	starvedASecond = 10
	// resentPart is the fraction of the segments sent that may be retransmitted.
	resentPart = 0.01
	// resentMin is the least number of retransmissions that matters, so that one
	// among a few segments does not count.
	resentMin = 10
)

// A diagnosis is one run of Diagnose.
type diagnosis struct {
	snapshots   []*Snapshot
	first, last *Snapshot
	seconds     float64
	conns       map[uint64][2]*Conn
	found       []Finding
}

func newDiagnosis(e Evidence) *diagnosis {
	d := &diagnosis{
		snapshots: e.Snapshots,
		first:     e.Snapshots[0], last: e.Snapshots[len(e.Snapshots)-1],
		conns: map[uint64][2]*Conn{},
	}
	d.seconds = max((d.last.Time - d.first.Time).Seconds(), 1e-3)
	for _, s := range e.Snapshots {
		for i := range s.Conns {
			c := &s.Conns[i]
			pair := d.conns[connKey(c)]
			if pair[0] == nil {
				pair[0] = c
			}
			pair[1] = c
			d.conns[connKey(c)] = pair
		}
	}
	return d
}

func (d *diagnosis) find(f Finding) { d.found = append(d.found, f) }

// connection examines the account of one connection.
func (d *diagnosis) connection(a *Account) {
	key := connKey(&Conn{Cookie: a.Cookie, FD: a.FD})
	pair := d.conns[key]
	subject := fmt.Sprintf("fd %d %v → %v", a.FD, a.Local, a.Remote)
	for _, side := range []*Side{&a.Send, &a.Receive} {
		f, known := verdicts[side.Verdict]
		if !known || side.Verdict == CauseNet && side == &a.Receive {
			continue
		}
		f.Subject, f.FD, f.Cookie = subject, a.FD, a.Cookie
		f.Evidence = fmt.Sprintf("%.0f %% of %v: %s", 100*side.Shares[side.Verdict],
			(a.To - a.From).Round(time.Millisecond), side.Reason)
		d.find(f)
	}
	if pair[0] == nil {
		return
	}
	d.resent(subject, pair[0], pair[1])
	if _, explained := verdicts[a.Send.Verdict]; !explained {
		d.writingPaused(subject, pair[0], pair[1])
	}
}

// verdicts maps each verdict to the finding that it amounts to.
var verdicts = map[Cause]Finding{
	CausePeer: {
		Name: findSlowPeer, Severity: Warning,
		Remedy: "the peer does not read fast enough: nothing here makes it faster; bound what " +
			"is kept for it (PauseWriting), and give up on one that never reads (a timeout)",
	},
	CauseSndBuf: {
		Name: findSmallSndBuf, Severity: Warning,
		Remedy: "SO_SNDBUF is less than one round trip's worth of data: do not set it, so that " +
			"the kernel adapts it up to net.ipv4.tcp_wmem, or set it higher",
	},
	CauseNet: {
		Name: findNetwork, Severity: Info,
		Remedy: "the path or its congestion control is the limit: look at losses and round trip " +
			"times, and at net.ipv4.tcp_congestion_control",
	},
	CauseApp: {
		Name: findReadPaused, Severity: Warning,
		Remedy: "the application has paused reading, or does not read: ResumeReading once what " +
			"it waits for is there, or close the connection",
	},
	CauseBuffers: {
		Name: findStarved, Severity: Warning,
		Remedy: "more receive buffers are wanted than there are: raise loop.Options.Buffers, or " +
			"return buffers to the ring sooner",
	},
	CauseLoop: {
		Name: findBusyLoop, Severity: Warning,
		Remedy: "the loop does other work while this waits: move what computes or blocks into " +
			"RunInExecutor, or use more loops (Options.Loops)",
	},
	CauseRing: {
		Name: findPunts, Severity: Warning,
		Remedy: "the ring does not carry operations out: look for requests that go to worker " +
			"threads, and at the ring's completion queue",
	},
}

// resent looks for segments that were lost.
func (d *diagnosis) resent(subject string, first, last *Conn) {
	n := last.Retrans - first.Retrans
	segments := (last.BytesAcked - first.BytesAcked) / uint64(max(last.MSS, 1))
	if n < resentMin || float64(n) < resentPart*float64(segments) {
		return
	}
	d.find(Finding{
		Name: findRetransmits, Severity: Warning, Subject: subject,
		FD: last.FD, Cookie: last.Cookie,
		Evidence: fmt.Sprintf("%d segments sent again, some %d acknowledged", n, segments),
		Remedy:   "segments are lost on the way or at the peer: look at its drops and at the path",
	})
}

// writingPaused looks for a protocol that was paused for nearly all of the time,
// when nothing else explains it.
func (d *diagnosis) writingPaused(subject string, first, last *Conn) {
	f, l := first.Transport, last.Transport
	if f == nil || l == nil || !l.WritingPaused {
		return
	}
	paused := l.WritingPausedTime - f.WritingPausedTime
	if paused.Seconds() < busyFrom*d.seconds || l.Written != f.Written {
		return
	}
	d.find(Finding{
		Name: findWritePaused, Severity: Info, Subject: subject,
		FD: last.FD, Cookie: last.Cookie,
		Evidence: fmt.Sprintf("paused for %v, %s buffered, water marks %s and %s",
			paused.Round(time.Millisecond), bytesText(l.Buffered), bytesText(l.High),
			bytesText(l.Low)),
		Remedy: "nothing drains: see the account of this connection for what holds it back",
	})
}
