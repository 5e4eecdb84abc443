package record

import (
	"cmp"
	"slices"
	"time"

	"github.com/sluice-net/sluice/transport/pressure"
)

// A WaitKind says who waited, for whom.
type WaitKind uint8

// The kinds of waits.
const (
	WritingPaused WaitKind = iota // the protocol was told to pause writing
	ReadingPaused                 // PauseReading was called
	ZeroWindow                    // the peer's window was closed
	Armed                         // the send queue was full: waits to be writable
	NoBuffer                      // a receive waited for a free buffer
	waitKinds
)

// String returns the name of the slice.
func (k WaitKind) String() string {
	return [...]string{"writing paused", "reading paused", "zero window", "armed",
		"no buffer"}[k]
}

// A Wait is a stretch of time in which a connection waited.
type Wait struct {
	// Cookie and FD say which.
	Cookie uint64
	FD     int
	// Kind is what it waited for, From and To since when and until when.
	Kind     WaitKind
	From, To time.Duration
	// Exact says that the edges are from events; otherwise they are those of
	// moments.
	Exact bool
}

// Waits returns all waits, by connection, kind and time. The edges of the peer's
// window are exact where there were events of them; all else is as fine as the
// moments are, and a wait that began and ended between two of them is not seen.
func (r *Recording) Waits() []Wait {
	w := watcher{open: map[waitKey]*Wait{}, exact: map[uint64]bool{}}
	w.windows(r)
	for i, m := range r.Moments {
		until := m.Snapshot.Time
		if i+1 < len(r.Moments) {
			until = r.Moments[i+1].Snapshot.Time
		}
		for _, c := range m.Snapshot.Conns {
			w.moment(c, m.Snapshot.Time, until)
		}
	}
	slices.SortStableFunc(w.done, func(a, b *Wait) int {
		return cmp.Or(a.FD-b.FD, cmp.Compare(a.Cookie, b.Cookie), int(a.Kind)-int(b.Kind),
			cmp.Compare(a.From, b.From))
	})
	out := make([]Wait, 0, len(w.done))
	for _, wait := range w.done {
		if wait.To > wait.From {
			out = append(out, *wait)
		}
	}
	return out
}

type waitKey struct {
	cookie uint64
	kind   WaitKind
}

// A watcher joins moments to waits.
type watcher struct {
	open  map[waitKey]*Wait
	done  []*Wait
	exact map[uint64]bool // connections of which there are events of the window
}

// windows takes the edges of peers' windows from events.
func (w *watcher) windows(r *Recording) {
	fds := map[uint64]int{}
	for _, m := range r.Moments {
		for _, c := range m.Snapshot.Conns {
			fds[c.Cookie] = c.FD
		}
	}
	for _, e := range r.Events {
		key := waitKey{e.Cookie, ZeroWindow}
		switch open := w.open[key]; {
		case e.Kind == pressure.EventPeerClosed && open == nil:
			w.exact[e.Cookie] = true
			wait := &Wait{e.Cookie, fds[e.Cookie], ZeroWindow, e.Time, r.End(), true}
			w.open[key], w.done = wait, append(w.done, wait)
		case e.Kind == pressure.EventPeerOpened && open != nil:
			open.To = e.Time
			delete(w.open, key)
		}
	}
	clear(w.open)
}

// moment extends the waits that go on, from one moment to the next.
func (w *watcher) moment(c pressure.Conn, from, until time.Duration) {
	for kind, waits := range waiting(c) {
		kind := WaitKind(kind)
		key := waitKey{c.Cookie, kind}
		if !waits || kind == ZeroWindow && w.exact[c.Cookie] {
			delete(w.open, key)
			continue
		}
		if open := w.open[key]; open != nil && open.To == from {
			open.To = until
			continue
		}
		wait := &Wait{c.Cookie, c.FD, kind, from, until, false}
		w.open[key], w.done = wait, append(w.done, wait)
	}
}

// waiting says what a connection waits for at one moment.
func waiting(c pressure.Conn) (out [waitKinds]bool) {
	out[ZeroWindow] = c.PeerWindow == 0 && c.OutQueue > 0 || c.Edges.PeerClosed
	out[Armed] = c.NoSpace
	if t := c.Transport; t != nil {
		out[WritingPaused], out[ReadingPaused] = t.WritingPaused, t.ReadingPaused
		out[NoBuffer] = t.Starved
	}
	return out
}
