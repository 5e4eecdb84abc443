package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"github.com/sluice-net/sluice/bench/internal/result"
)

//go:embed report.gohtml
var pageText string

var page = template.Must(template.New("report").Parse(pageText))

// A sheet is what the page's template is filled with.
type sheet struct {
	File       *result.File
	Facts      [][2]string
	Sentences  []string
	Spans      [][]string
	Views      []viewSheet
	Memory     *chart
	Footnotes  []string
	PairsText  string
	PairHeads  []string
	Pairs      [][]string
	Comparison *comparisonSheet
}

// A key is an entry of a chart's legend.
type key struct {
	Class, Label string
	Shape        mark
}

// A viewSheet is the part of the page that is about one view.
type viewSheet struct {
	Name, Explanation string
	Ratios, Latencies *chart
	Keys, RatioKeys   []key
	Heads             []string
	Groups            []group
	Trouble           []string
}

// A group is the rows of one workload in the table.
type group struct {
	Title string
	Rows  []tableRow
}

type tableRow struct {
	Class string
	Label string
	Note  string
	Cells []string
}

type comparisonSheet struct {
	Date, Caution string
	Rows          [][]string
	Unpaired      []string
}

// HTML writes the page of a run: one file that needs nothing else, no script.
// c may be nil.
func HTML(w io.Writer, f *result.File, c *result.Comparison) error {
	s := sheet{File: f, Facts: facts(f), Sentences: headlines(f),
		Spans: spans(f), Memory: memoryChart(f),
		Footnotes: legend(f), PairsText: pairsText, PairHeads: pairHeads, Pairs: pairLines(f)}
	for _, view := range views(f) {
		s.Views = append(s.Views, sheetOf(f, view))
	}
	if c != nil {
		s.Comparison = compared(*c)
	}
	return page.Execute(w, s)
}

func facts(f *result.File) [][2]string {
	m := f.Machine
	out := [][2]string{
		{"Date", f.Date.Format("2006-01-02 15:04 MST")},
		{"Command", f.Command},
		{"Kernel", "Linux " + m.Kernel},
		{"CPU", m.Processors()},
		{"Memory", count(float64(m.MemoryMB)) + " MiB"},
		{"Go", m.Go},
		{"Network", fmt.Sprintf("%s, TCP %s", m.Network, m.Congestion)},
	}
	if f.Revision != "" {
		out = append(out, [2]string{"Revision", f.Revision})
	}
	return append(out, notes(f)...)
}

// notes returns what each server says of itself.
func notes(f *result.File) (out [][2]string) {
	seen := map[string]bool{}
	for _, w := range f.Workloads {
		for _, r := range w.Rows {
			label, again := strings.CutSuffix(r.Label, ", again")
			if r.Note != "" && !again && !seen[label] {
				seen[label] = true
				out = append(out, [2]string{label, r.Note})
			}
		}
	}
	return out
}

// spans has a line for each contestant: between which ratios its workloads lie, in
// each view.
func spans(f *result.File) (out [][]string) {
	for _, k := range keys(f) {
		line, some := []string{k.Label}, false
		for _, view := range views(f) {
			text := span(f, view, k.Class)
			line, some = append(line, text), some || text != none
		}
		if some {
			out = append(out, line)
		}
	}
	return out
}

// span returns the smallest and the largest ratio of a contestant.
func span(f *result.File, view result.View, contestant string) string {
	var ratios []float64
	for _, w := range workloads(f, view) {
		if r := w.Row(contestant); r != nil && r.Ratio != nil {
			ratios = append(ratios, r.Ratio.Median)
		}
	}
	if ratios == nil {
		return none
	}
	return fmt.Sprintf("%.2f to %.2f", slices.Min(ratios), slices.Max(ratios))
}

// keys returns the contestants in order. A contestant's key is its class in the
// page's style sheet as well.
func keys(f *result.File) (out []key) {
	seen, shapes := map[string]bool{}, marks(f)
	for _, w := range f.Workloads {
		for _, r := range w.Rows {
			if !seen[r.Contestant] {
				seen[r.Contestant] = true
				out = append(out, key{r.Contestant, r.Label, shapes[r.Contestant]})
			}
		}
	}
	return out
}

func sheetOf(f *result.File, view result.View) viewSheet {
	s := viewSheet{Name: string(view), Heads: columns[1:],
		Ratios: ratioChart(f, view), Latencies: latencyChart(f, view), Keys: keys(f),
		Trouble: trouble(f, view)}
	for _, k := range s.Keys {
		if span(f, view, k.Class) != none {
			s.RatioKeys = append(s.RatioKeys, k)
		}
	}
	switch view {
	case result.Pinned:
		s.Explanation = "The server has one CPU and GOMAXPROCS=1, the load has another, " +
			"on which it spins."
	default:
		s.Explanation = "The scheduler places the server and the load as it likes; the server " +
			"may use every CPU."
	}
	for _, w := range workloads(f, view) {
		g := group{Title: w.Title}
		for _, r := range w.Rows {
			g.Rows = append(g.Rows, tableRow{r.Contestant, r.Label, r.Note, cells(r)})
		}
		s.Groups = append(s.Groups, g)
	}
	return s
}

func compared(c result.Comparison) *comparisonSheet {
	s := &comparisonSheet{Date: c.Old.Date.Format("2006-01-02 15:04 MST"),
		Caution: c.Caution(), Unpaired: c.Unpaired}
	for _, ch := range c.Changes {
		s.Rows = append(s.Rows, []string{ch.Title, string(ch.View), ch.Label, ch.Old.String(),
			ch.New.String(), change(ch), ch.Verdict()})
	}
	return s
}
