package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-net/sluice/bench/internal/result"
)

// engines are the contestants that the headline is about.
var engines = []string{"uring", "epoll"}

// typical is the workload that the headline begins with, if the run has it.
const typical = "echo/64/50"

// dearerMax is how many workloads are named on which a contestant is dearer.
const dearerMax = 3

// headlines has a sentence for each engine in each view: what it costs in comparison
// with the base, where it is dearer, and how far it is from the better server in C.
func headlines(f *result.File) (out []string) {
	for _, view := range views(f) {
		for _, engine := range engines {
			if s := headline(f, view, engine); s != "" {
				out = append(out, s)
			}
		}
	}
	return out
}

func headline(f *result.File, view result.View, engine string) string {
	var rows []named
	for _, w := range workloads(f, view) {
		if r := w.Row(engine); r != nil && r.Ratio != nil {
			rows = append(rows, named{w, r})
		}
	}
	base := baseLabel(f, view)
	if rows == nil || base == "" {
		return ""
	}
	first := rows[0]
	if i := slices.IndexFunc(rows, func(n named) bool { return n.w.Name == typical }); i >= 0 {
		first = rows[i]
	}
	s := fmt.Sprintf("%s, %s: %.2f of %s's CPU time", first.r.Label, view,
		first.r.Ratio.Median, base)
	if first.w.Name == typical {
		s += fmt.Sprintf(" at %s", connectionsOf(first.w))
	} else {
		s += fmt.Sprintf(" (%s)", first.w.Title)
	}
	s += againstC(first)
	if len(rows) == 1 {
		return s + "."
	}
	return s + fmt.Sprintf(", %s over %d workloads; %s.", span(f, view, engine), len(rows),
		dearer(rows))
}

// A named is a row and its workload.
type named struct {
	w result.Workload
	r *result.Row
}

func connectionsOf(w result.Workload) string {
	if w.Conns == 1 {
		return "1 connection"
	}
	return fmt.Sprintf("%d connections", w.Conns)
}

// baseLabel is what people call the base of a view.
func baseLabel(f *result.File, view result.View) string {
	for _, w := range workloads(f, view) {
		if len(w.Rows) > 0 {
			return w.Rows[0].Label
		}
	}
	return ""
}

// againstC says how a row is to the better of the servers in C, if there are any.
func againstC(n named) string {
	worst, found := 0.0, false
	for _, p := range n.r.Pairs {
		if strings.HasPrefix(p.To, "c-") {
			worst, found = max(worst, p.Ratio.Median), true
		}
	}
	if !found {
		return ""
	}
	return fmt.Sprintf(", %.2f of the better server's in C", worst)
}

// dearer names the workloads on which a contestant certainly takes more than the base.
func dearer(rows []named) string {
	rows = slices.Clone(rows)
	rows = slices.DeleteFunc(rows, func(n named) bool { return n.r.Ratio.Low <= 1 })
	slices.SortStableFunc(rows, func(a, b named) int {
		return cmp.Compare(b.r.Ratio.Median, a.r.Ratio.Median)
	})
	if len(rows) == 0 {
		return "dearer at nothing"
	}
	var names []string
	for _, n := range rows[:min(len(rows), dearerMax)] {
		names = append(names, fmt.Sprintf("%s (%.2f)", n.w.Title, n.r.Ratio.Median))
	}
	s := "dearer only at " + strings.Join(names, "; ")
	if more := len(rows) - dearerMax; more > 0 {
		s += fmt.Sprintf("; and %d more", more)
	}
	return s
}
