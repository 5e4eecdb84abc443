package report

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/sluice-net/sluice/transport/pressure"
	"github.com/sluice-net/sluice/transport/pressure/internal/record"
	"github.com/sluice-net/sluice/transport/pressure/internal/view"
	"github.com/sluice-net/sluice/transport/pressure/internal/waiting"
)

// A diff compares two recordings. Connections of one are not those of the other,
// so it goes by listener and direction.
type diff struct {
	Then    string // when the other one was
	Caution string // what else differs
	Groups  []diffGroup
	Gone    []string // findings that are no more
	New     []string // findings that were not there
}

// A diffGroup is one direction of the connections of a listener.
type diffGroup struct {
	Listener, Direction string
	Then, Now           diffSide
	Changes             []change
}

// A diffSide is one recording's bar: parts of 100 %.
type diffSide struct {
	Conns int
	Time  string // of all connections
	Parts []part
}

type part struct {
	Class, Label string
	From, Width  float64 // in per cent
}

// A change is a cause whose share is another one now, in points of per cent.
type change struct {
	Class, Label, Text string
	Worse              bool
}

// noticed is by how many points a share has to differ to be called changed.
const noticed = 2.0

type diffKey struct{ listener, direction string }

// A heap adds up the accounts of a group.
type heap struct {
	by    pressure.Shares // nanoseconds
	total float64
	conns map[uint64]bool
}

// heaps adds a recording up by listener and direction.
func heaps(r *record.Recording) map[diffKey]*heap {
	out := map[diffKey]*heap{}
	for _, m := range r.Moments {
		for _, a := range m.Accounts {
			listener := cmp.Or(view.ListenerOf(m.Snapshot.Listeners, a.Local), waiting.Outgoing)
			add(out, diffKey{listener, "sending"}, a, a.Send.Shares)
			add(out, diffKey{listener, "receiving"}, a, a.Receive.Shares)
		}
	}
	return out
}

func add(out map[diffKey]*heap, key diffKey, a pressure.Account, s pressure.Shares) {
	h := out[key]
	if h == nil {
		h = &heap{conns: map[uint64]bool{}}
		out[key] = h
	}
	h.conns[a.Cookie] = true
	h.total += float64(a.To - a.From)
	for c := range s {
		h.by[c] += s[c] * float64(a.To-a.From)
	}
}

func (h *heap) share(c pressure.Cause) float64 {
	if h == nil || h.total == 0 {
		return 0
	}
	return h.by[c] / h.total
}

func compare(before, now *record.Recording) *diff {
	d := &diff{Then: before.Started.Format("2006-01-02 15:04:05 MST"),
		Caution: caution(before, now)}
	then, present := heaps(before), heaps(now)
	keys := slices.Concat(slices.Collect(maps.Keys(then)), slices.Collect(maps.Keys(present)))
	slices.SortFunc(keys, func(a, b diffKey) int {
		return cmp.Or(cmp.Compare(a.listener, b.listener),
			-cmp.Compare(a.direction, b.direction))
	})
	for _, key := range slices.Compact(keys) {
		a, b := then[key], present[key]
		d.Groups = append(d.Groups, diffGroup{Listener: key.listener, Direction: key.direction,
			Then: sideOf(a), Now: sideOf(b), Changes: changes(a, b)})
	}
	old, fresh := names(before.Findings()), names(now.Findings())
	for _, name := range old {
		if !slices.Contains(fresh, name) {
			d.Gone = append(d.Gone, name)
		}
	}
	for _, name := range fresh {
		if !slices.Contains(old, name) {
			d.New = append(d.New, name)
		}
	}
	return d
}

func caution(before, now *record.Recording) string {
	switch {
	case before.Kernel != now.Kernel:
		return fmt.Sprintf("Linux %s then, %s now", before.Kernel, now.Kernel)
	case before.Host != now.Host:
		return fmt.Sprintf("on %s then, on %s now", before.Host, now.Host)
	case before.Level != now.Level:
		return fmt.Sprintf("level %s then, %s now", before.Level, now.Level)
	}
	return ""
}

func sideOf(h *heap) diffSide {
	if h == nil || h.total == 0 {
		return diffSide{}
	}
	s := diffSide{Conns: len(h.conns), Time: seconds(time.Duration(h.total))}
	at := 0.0
	for _, c := range causes {
		if width := math.Round(h.share(c)*1000) / 10; width > 0 {
			s.Parts = append(s.Parts, part{c.String(),
				fmt.Sprintf("%s %s", meanings[c], view.Percent(h.share(c))), at, width})
			at += width
		}
	}
	return s
}

// changes lists the causes but idle that differ, the largest difference first.
func changes(then, now *heap) []change {
	type delta struct {
		cause  pressure.Cause
		points float64
	}
	var deltas []delta
	for _, c := range causes[:len(causes)-1] {
		points := (now.share(c) - then.share(c)) * 100
		if math.Abs(points) >= noticed {
			deltas = append(deltas, delta{c, points})
		}
	}
	slices.SortStableFunc(deltas, func(a, b delta) int {
		return cmp.Compare(math.Abs(b.points), math.Abs(a.points))
	})
	var out []change
	for _, d := range deltas {
		out = append(out, change{d.cause.String(), meanings[d.cause],
			fmt.Sprintf("%s → %s", view.Percent(then.share(d.cause)),
				view.Percent(now.share(d.cause))), d.points > 0})
	}
	return out
}

// names are those of findings, each once, in order.
func names(findings []pressure.Finding) []string {
	var out []string
	for _, f := range findings {
		if !slices.Contains(out, f.Name) {
			out = append(out, f.Name)
		}
	}
	return out
}
