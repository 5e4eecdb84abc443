package result

import (
	"fmt"
	"strings"

	"github.com/sluice-net/sluice/bench/internal/stats"
)

// A Change is how one row differs from that of an earlier run. It compares the
// ratios to the base, each taken within its own run, so that a machine that was
// faster or slower on that day changes little.
type Change struct {
	Title      string         // the workload
	View       View           // of both
	Contestant string         // as in a Row
	Label      string         // as in a Row
	Old        stats.Interval // the ratio then
	New        stats.Interval // the ratio now

	// Certain says that the two intervals have no value in common.
	Certain bool
}

// Factor is the new ratio divided by the old: below 1 is better.
func (c Change) Factor() float64 { return c.New.Median / c.Old.Median }

// Verdict says in a word or two what the change amounts to.
func (c Change) Verdict() string {
	switch {
	case !c.Certain:
		return "no certain change"
	case c.Factor() < 1:
		return "better"
	}
	return "worse"
}

// A Comparison is of two runs.
type Comparison struct {
	Old      *File    // the earlier run
	New      *File    // the later one
	Changes  []Change // in the order of New
	Unpaired []string // rows that only one of the runs has
}

// Compare compares the ratios of two runs, in the order of the new one. The
// base itself has no ratio and is left out.
func Compare(older, newer *File) Comparison {
	c := Comparison{Old: older, New: newer}
	before := ratios(older)
	seen := map[string]bool{}
	for _, w := range newer.Workloads {
		for _, r := range w.Rows {
			if r.Ratio == nil {
				continue
			}
			key := rowKey(w, r)
			seen[key] = true
			was, ok := before[key]
			if !ok {
				c.Unpaired = append(c.Unpaired, "new: "+key)
				continue
			}
			c.Changes = append(c.Changes, Change{w.Title, w.View, r.Contestant, r.Label,
				was, *r.Ratio, !was.Overlaps(*r.Ratio)})
		}
	}
	for _, w := range older.Workloads {
		for _, r := range w.Rows {
			if key := rowKey(w, r); r.Ratio != nil && !seen[key] {
				c.Unpaired = append(c.Unpaired, "old: "+key)
			}
		}
	}
	return c
}

func rowKey(w Workload, r Row) string { return w.Key() + " " + r.Contestant }

func ratios(f *File) map[string]stats.Interval {
	out := map[string]stats.Interval{}
	for _, w := range f.Workloads {
		for _, r := range w.Rows {
			if r.Ratio != nil {
				out[rowKey(w, r)] = *r.Ratio
			}
		}
	}
	return out
}

// Caution says what of the two runs' circumstances differs; "" if nothing does.
func (c Comparison) Caution() string {
	var out []string
	differ := func(what, then, now string) {
		if then != now {
			out = append(out, fmt.Sprintf("%s: %s then, %s now", what, then, now))
		}
	}
	a, b := c.Old.Machine, c.New.Machine
	differ("kernel", a.Kernel, b.Kernel)
	differ("CPU", a.CPU, b.CPU)
	differ("CPUs", fmt.Sprint(a.CPUs), fmt.Sprint(b.CPUs))
	differ("Go", a.Go, b.Go)
	differ("network", a.Network, b.Network)
	differ("congestion control", a.Congestion, b.Congestion)
	return strings.Join(out, "; ")
}
