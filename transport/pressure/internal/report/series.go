package report

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/sluice-net/sluice/transport/pressure"
	"github.com/sluice-net/sluice/transport/pressure/internal/chart"
	"github.com/sluice-net/sluice/transport/pressure/internal/record"
	"github.com/sluice-net/sluice/transport/pressure/internal/text"
	"github.com/sluice-net/sluice/transport/pressure/internal/view"
)

// stretches is into how many stretches of time the pictures divide a recording,
// at most: one has at least one moment.
const stretches = 240

// causes are those of the strips, from the bottom; idle is what is left on top.
var causes = []pressure.Cause{pressure.CauseApp, pressure.CauseLoop, pressure.CauseRing,
	pressure.CauseBuffers, pressure.CauseSndBuf, pressure.CauseNet, pressure.CausePeer,
	pressure.CauseUnknown, pressure.CauseIdle}

// meanings are what the legend says of the causes.
var meanings = map[pressure.Cause]string{
	pressure.CauseApp: "application does not read", pressure.CauseLoop: "loop is busy",
	pressure.CauseRing: "ring keeps the operation", pressure.CauseBuffers: "no receive buffer",
	pressure.CauseSndBuf: "send buffer too small", pressure.CauseNet: "network",
	pressure.CausePeer: "peer's window", pressure.CauseUnknown: "unknown",
	pressure.CauseIdle: "idle",
}

func legend() []chart.Cause {
	out := make([]chart.Cause, 0, len(causes))
	for _, c := range causes {
		out = append(out, chart.Cause{Class: c.String(), Label: meanings[c]})
	}
	return out
}

// A line is one connection over the time of a recording.
type line struct {
	total    pressure.Account
	conn     pressure.Conn // its last state
	listener string
	fills    [heats][]float64
	shares   [2][]sums // out and in
	waits    []record.Wait
}

// The heat rows of a connection.
const (
	transportRow = iota
	sendRow
	receiveRow
	heats
)

var heatNames = [heats]string{"transport's buffer", "send queue", "receive queue"}

// sums are nanoseconds by cause, and all of them.
type sums struct {
	by    pressure.Shares
	total float64
}

// held is for how much of the time a connection was held back, the worse way.
func (l *line) held() float64 {
	return max(heldOf(l.total.Send), heldOf(l.total.Receive))
}

func heldOf(s pressure.Side) float64 {
	if s.Verdict == pressure.CauseIdle {
		return 0
	}
	return s.Shares.Waiting()
}

// lines returns a line for each connection of a recording, those that were held
// back most first.
func lines(r *record.Recording) []*line {
	begin, span := r.Begin(), r.End()-r.Begin()
	n := min(stretches, max(1, len(r.Moments)-1))
	at := func(t time.Duration) int {
		if span <= 0 {
			return 0
		}
		return min(max(int(int64(t-begin)*int64(n)/int64(span)), 0), n-1)
	}
	byCookie := map[uint64]*line{}
	for _, m := range r.Moments {
		for _, c := range m.Snapshot.Conns {
			l := byCookie[c.Cookie]
			if l == nil {
				l = newLine(n)
				byCookie[c.Cookie] = l
			}
			l.conn = c
			l.listener = view.ListenerOf(m.Snapshot.Listeners, c.Local)
			l.fill(c, at(m.Snapshot.Time))
		}
		for _, a := range m.Accounts {
			if l := byCookie[a.Cookie]; l != nil {
				l.spread(a, begin, span, n)
			}
		}
	}
	for _, w := range r.Waits() {
		if l := byCookie[w.Cookie]; l != nil {
			l.waits = append(l.waits, w)
		}
	}
	var out []*line
	for _, a := range r.Totals() {
		if l := byCookie[a.Cookie]; l != nil {
			l.total = a
			out = append(out, l)
		}
	}
	slices.SortStableFunc(out, func(a, b *line) int {
		switch {
		case a.held() > b.held():
			return -1
		case a.held() < b.held():
			return 1
		}
		return a.total.FD - b.total.FD
	})
	return out
}

func newLine(n int) *line {
	l := &line{}
	for i := range l.fills {
		l.fills[i] = make([]float64, n)
		for k := range n {
			l.fills[i][k] = math.NaN()
		}
	}
	l.shares[0], l.shares[1] = make([]sums, n), make([]sums, n)
	return l
}

// fill keeps the fullest of the moments of a stretch.
func (l *line) fill(c pressure.Conn, k int) {
	keep := func(row, used, size int) {
		v := 0.0
		if used > 0 {
			v = min(1, float64(used)/float64(max(size, 1)))
		}
		if old := l.fills[row][k]; math.IsNaN(old) || v > old {
			l.fills[row][k] = v
		}
	}
	if t := c.Transport; t != nil {
		keep(transportRow, t.Buffered, t.High)
	}
	keep(sendRow, c.Queued, c.SndBuf)
	keep(receiveRow, c.Rmem, c.RcvBuf)
}

// spread adds an account to the stretches that its time is in, in proportion.
func (l *line) spread(a pressure.Account, begin, span time.Duration, n int) {
	if span <= 0 {
		return
	}
	width := float64(span) / float64(n)
	from, to := max(0, float64(a.From-begin)), min(float64(span), float64(a.To-begin))
	for k := int(from / width); k < n && float64(k)*width < to; k++ {
		part := min(to, float64(k+1)*width) - max(from, float64(k)*width)
		for i, s := range []pressure.Shares{a.Send.Shares, a.Receive.Shares} {
			for c, share := range s {
				l.shares[i][k].by[c] += share * part
			}
			l.shares[i][k].total += part
		}
	}
}

// strip returns the shares for a picture.
func strip(label string, of []sums) chart.Strip {
	s := chart.Strip{Label: label}
	for _, k := range of {
		if k.total <= 0 {
			s.Shares = append(s.Shares, nil)
			continue
		}
		list := make([]float64, len(causes))
		for i, c := range causes {
			list[i] = k.by[c] / k.total
		}
		s.Shares = append(s.Shares, list)
	}
	return s
}

// group is the picture of one connection.
func (l *line) group(r *record.Recording) chart.Group {
	g := chart.Group{Label: fmt.Sprintf("fd %d", l.total.FD), Note: route(l),
		Badge: "not held back"}
	out, in := l.total.Send, l.total.Receive
	switch {
	case heldOf(out) == 0 && heldOf(in) == 0:
	case heldOf(out) >= heldOf(in):
		g.Badge, g.Class = "sending: "+verdict(out), out.Verdict.String()
	default:
		g.Badge, g.Class = "receiving: "+verdict(in), in.Verdict.String()
	}
	g.Strips = []chart.Strip{strip("sending", l.shares[0]), strip("receiving", l.shares[1])}
	for row, fill := range l.fills {
		if row == transportRow && l.conn.Transport == nil {
			continue
		}
		g.Heats = append(g.Heats, chart.Heat{Label: heatNames[row], Fill: fill,
			Marks: l.marks(r, row)})
	}
	return g
}

func route(l *line) string {
	if l.listener == "" {
		return fmt.Sprintf("to %s", l.total.Remote)
	}
	return fmt.Sprintf("from %s on %s", l.total.Remote, l.listener)
}

func verdict(s pressure.Side) string {
	return text.Verdict(view.Lane{Cause: s.Verdict, Shares: s.Shares})
}

// rowOf says over which row a kind of wait is marked, and how.
var rowOf = map[record.WaitKind]struct {
	row   int
	class string
}{
	record.WritingPaused: {transportRow, "paused"},
	record.ReadingPaused: {receiveRow, "paused"},
	record.ZeroWindow:    {sendRow, "zero"},
	record.NoBuffer:      {receiveRow, "zero"},
}

func (l *line) marks(r *record.Recording, row int) []chart.Mark {
	var out []chart.Mark
	span := float64(r.End() - r.Begin())
	for _, w := range l.waits {
		how, drawn := rowOf[w.Kind]
		if !drawn || how.row != row || span <= 0 {
			continue
		}
		out = append(out, chart.Mark{From: float64(w.From-r.Begin()) / span,
			To: float64(w.To-r.Begin()) / span, Class: how.class,
			Tip: fmt.Sprintf("%s for %s", w.Kind, view.Short(w.To-w.From))})
	}
	return out
}
