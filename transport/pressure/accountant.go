package pressure

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Accountant computes accounts from snapshots, live or recorded. It is not safe for
// concurrent use. The zero value is ready to use.
//
// Durations that the kernel or the loop accumulates are used as they are: the
// peer's window, the send buffer, paused reading, starvation. The rest of an
// interval is split evenly between the causes that the snapshots at its two ends
// show.
type Accountant struct {
	time    time.Duration
	last    map[uint64]scene
	ledgers map[uint64]*ledger
}

// A ledger holds what an account is computed from.
type ledger struct {
	first, last Conn
	from, to    time.Duration
	samples     int
	send        [Causes]time.Duration
	receive     [Causes]time.Duration

	// The most that waited at any snapshot, for the reasons.
	unread, unsent, unacked int
}

// Add adds the next snapshot, which must be later than the ones before; one that is
// not is ignored. A connection is identified by its cookie. The snapshot must not
// be modified afterwards.
func (a *Accountant) Add(s *Snapshot) {
	if s.Time <= a.time {
		return
	}
	seen := make(map[uint64]scene, len(s.Conns))
	for i := range s.Conns {
		c := &s.Conns[i]
		if !c.Remote.IsValid() || c.Remote.Port() == 0 {
			continue // not connected
		}
		key, now := connKey(c), sceneOf(s, c)
		seen[key] = now
		if before, ok := a.last[key]; ok {
			a.book(key, before, now)
		}
	}
	a.time, a.last = s.Time, seen
}

// connKey distinguishes connections even if there is no cookie.
func connKey(c *Conn) uint64 {
	if c.Cookie != 0 {
		return c.Cookie
	}
	return 1<<63 | uint64(c.FD)
}

func (a *Accountant) book(key uint64, before, now scene) {
	if a.ledgers == nil {
		a.ledgers = map[uint64]*ledger{}
	}
	l := a.ledgers[key]
	if l == nil {
		l = &ledger{first: *before.conn, from: before.at}
		a.ledgers[key] = l
	}
	bookSend(&l.send, before, now)
	bookReceive(&l.receive, before, now)
	l.last, l.to = *now.conn, now.at
	l.samples++
	l.unread = max(l.unread, now.conn.InQueue)
	l.unsent = max(l.unsent, now.conn.NotSent)
	l.unacked = max(l.unacked, now.conn.OutQueue-now.conn.NotSent)
}

// Take returns the accounts of all connections that were in at least two snapshots
// since the last call, in the order of descriptors, and starts afresh.
func (a *Accountant) Take() []Account {
	out := make([]Account, 0, len(a.ledgers))
	for _, l := range a.ledgers {
		out = append(out, l.account())
	}
	slices.SortFunc(out, func(x, y Account) int {
		return cmp.Or(cmp.Compare(x.FD, y.FD), cmp.Compare(x.Cookie, y.Cookie))
	})
	maps.DeleteFunc(a.ledgers, func(uint64, *ledger) bool { return true })
	return out
}

// integrate returns the accounts computed from a recording's snapshots.
func integrate(snapshots []*Snapshot) []Account {
	var a Accountant
	for _, s := range snapshots {
		a.Add(s)
	}
	return a.Take()
}

// An interval distributes its time, and no more than it has.
type interval struct {
	into *[Causes]time.Duration
	left time.Duration
}

func (t *interval) pay(c Cause, d time.Duration) {
	d = min(max(d, 0), t.left)
	t.into[c] += d
	t.left -= d
}

// halves splits the rest between the causes at both ends.
func (t *interval) halves(before, now Cause) {
	t.pay(before, t.left/2)
	t.pay(now, t.left)
}

func bookSend(into *[Causes]time.Duration, before, now scene) {
	t := interval{into, now.at - before.at}
	t.pay(CausePeer, now.conn.RwndLimited-before.conn.RwndLimited)
	t.pay(CauseSndBuf, now.conn.SndbufLimited-before.conn.SndbufLimited)
	t.halves(sendCause(before), sendCause(now))
}

func bookReceive(into *[Causes]time.Duration, before, now scene) {
	t := interval{into, now.at - before.at}
	if b, n := before.conn.Transport, now.conn.Transport; b != nil && n != nil {
		paused := CauseIdle // there was nothing to read
		if before.conn.unread() || now.conn.unread() {
			paused = CauseApp
		}
		t.pay(paused, n.ReadingPausedTime-b.ReadingPausedTime)
		t.pay(CauseBuffers, n.StarvedTime-b.StarvedTime)
	}
	late := latenessOf(before.conn, now.conn)
	t.halves(receiveCause(before, late), receiveCause(now, late))
}

func (l *ledger) account() Account {
	first, last := &l.first, &l.last
	a := Account{
		FD: last.FD, Cookie: last.Cookie, Local: last.Local, Remote: last.Remote,
		From: l.from, To: l.to, Samples: l.samples,
	}
	a.Send.Shares, a.Receive.Shares = shares(&l.send), shares(&l.receive)
	a.Send.Bytes = last.BytesAcked - first.BytesAcked
	a.Receive.Bytes = last.BytesReceived - first.BytesReceived
	a.Send.Verdict = a.Send.Shares.Verdict()
	a.Receive.Verdict = a.Receive.Shares.Verdict()
	a.Send.Reason = l.sendReason(a.Send.Verdict)
	a.Receive.Reason = l.receiveReason(a.Receive.Verdict)
	return a
}

func shares(of *[Causes]time.Duration) Shares {
	var sum time.Duration
	for _, d := range of {
		sum += d
	}
	var out Shares
	for c, d := range of {
		out[c] = float64(d) / float64(max(sum, 1))
	}
	return out
}
