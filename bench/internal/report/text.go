// Package report shows what a run of the benchmark found: as a table for a
// terminal, and as a page with charts.
package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sluice-net/sluice/bench/internal/result"
)

// none stands for what was not measured.
const none = "–"

// loadBoundMark marks rows in which the load was the limit.
const loadBoundMark = "*"

// columns are the heads of the table of a run; the first two are texts.
var columns = []string{"workload", "server", "msg/s", "MB/s", "p50 µs", "p99 µs", "p99.9 µs",
	"CPU ns/msg", "syscalls/msg", "allocs/msg", "CPU ratio [95 %]", "busy: server", "load"}

// Text writes the table of a run, and what a reader has to know of it.
func Text(w io.Writer, f *result.File) {
	fmt.Fprintf(w, "%s\n%s\n", f.Command, f.Machine)
	for _, note := range f.Notes {
		fmt.Fprintln(w, note)
	}
	fmt.Fprintln(w)
	for _, sentence := range headlines(f) {
		fmt.Fprintln(w, sentence)
	}
	for _, view := range views(f) {
		table := [][]string{columns}
		for _, wl := range workloads(f, view) {
			title := wl.Title
			for _, row := range wl.Rows {
				table = append(table, append([]string{title, row.Label}, cells(row)...))
				title = ""
			}
		}
		fmt.Fprintf(w, "\n%s\n", strings.ToUpper(string(view)))
		align(w, table, 2)
		for _, line := range trouble(f, view) {
			fmt.Fprintln(w, line)
		}
	}
	if pairs := pairLines(f); pairs != nil {
		fmt.Fprintf(w, "\nPAIRS: %s\n", pairsText)
		align(w, append([][]string{pairHeads}, pairs...), 4)
	}
	if idle := idleLines(f); idle != nil {
		fmt.Fprintf(w, "\nMEMORY of an idle connection\n")
		align(w, append([][]string{idleHeads}, idle...), 3)
		for _, wl := range f.Workloads {
			for _, row := range wl.Rows {
				if isIdle(wl) && row.Error != "" {
					fmt.Fprintf(w, "%s, %s: %s\n", wl.Title, row.Label, row.Error)
				}
			}
		}
	}
	fmt.Fprintf(w, "\n%s\n", strings.Join(legend(f), "\n"))
}

// cells are the columns of a row after its two texts.
func cells(r result.Row) []string {
	out := slices.Repeat([]string{none}, len(columns)-2)
	if r.Error != "" {
		return out
	}
	out[0], out[1] = count(r.PerSecond), decimals(r.MBPerSec)
	if l := r.Latency; l != nil {
		out[2], out[3], out[4] = decimals(l.P50), decimals(l.P99), decimals(l.P999)
	}
	out[5] = count(r.CPUNS)
	if r.Syscalls != nil {
		out[6] = fmt.Sprintf("%.2f", *r.Syscalls)
	}
	if r.Allocs != nil {
		out[7] = fmt.Sprintf("%.2f", *r.Allocs)
	}
	out[8] = "1"
	if r.Ratio != nil {
		out[8] = r.Ratio.String()
	}
	out[9], out[10] = percent(r.ServerBusy), percent(r.LoadBusy)
	if r.LoadBound() {
		out[10] += loadBoundMark
	}
	return out
}

// trouble has a line for each row without a result, and for each of which the
// reader must know more than the numbers.
func trouble(f *result.File, view result.View) (out []string) {
	for _, w := range workloads(f, view) {
		for _, r := range w.Rows {
			switch {
			case r.Error != "":
				out = append(out, fmt.Sprintf("%s, %s: %s", w.Title, r.Label, r.Error))
			case r.Lost > 0:
				out = append(out, fmt.Sprintf("%s, %s: %s datagrams lost, %s came back", w.Title,
					r.Label, count(float64(r.Lost)), count(float64(r.Messages))))
			case r.Late > 0:
				out = append(out, fmt.Sprintf("%s, %s: too slow for this rate, %s messages were "+
					"never sent", w.Title, r.Label, count(float64(r.Late))))
			}
		}
	}
	return out
}

// idleHeads are the heads of the table of memory.
var idleHeads = []string{"workload", "view", "server", "bytes", "of Go objects"}

func idleLines(f *result.File) [][]string {
	var out [][]string
	for _, w := range f.Workloads {
		for _, r := range w.Rows {
			if !isIdle(w) {
				continue
			}
			bytes, objects := none, none
			if r.IdleRSS != nil {
				bytes = count(*r.IdleRSS)
			}
			if r.IdleHeap != nil {
				objects = count(*r.IdleHeap)
			}
			out = append(out, []string{w.Title, string(w.View), r.Label, bytes, objects})
		}
	}
	return out
}

// legend says what the numbers mean.
func legend(f *result.File) []string {
	out := []string{
		"CPU ratio: server CPU time for a message to that of the first row, taken inside each " +
			"round; median and its 95 % interval. The row \"again\" is the base once more: what " +
			"it differs from 1 by is the error.",
		fmt.Sprintf("Contestants take turns of %g ms. msg/s, MB/s (10^6 bytes, one direction) "+
			"and CPU are medians of the rounds; a one-way message is 64 KiB, and a fan-out's is "+
			"what one connection gets. A message of net/http is a request, and one of connect, "+
			"echo, close is a connection; of timers and posts it is one of these. What is called "+
			"steady is measured in the middle of longer turns, with that congestion control on "+
			"both sides.", f.SliceMS),
		"Latency is a message's way there and back; at a fixed rate it is counted from when the " +
			"message was due, in a fan-out from when it was asked for until a connection has it, " +
			"and of connect, echo, close from before the connection was made.",
	}
	for _, w := range f.Workloads {
		for _, r := range w.Rows {
			if r.LoadBound() {
				return append(out, loadBoundMark+" The load generator was the limit: msg/s is a "+
					"lower bound, and the server, with less to do at once, may have taken more "+
					"CPU for a message than it would under full load.")
			}
		}
	}
	return out
}

// TextComparison writes how a run differs from an earlier one.
func TextComparison(w io.Writer, c result.Comparison) {
	fmt.Fprintf(w, "\nCOMPARED with the run of %s: ratio to the base, then and now\n",
		c.Old.Date.Format("2006-01-02 15:04"))
	if caution := c.Caution(); caution != "" {
		fmt.Fprintf(w, "Not the same circumstances: %s\n", caution)
	}
	table := [][]string{{"workload", "view", "server", "then", "now", "change", ""}}
	for _, ch := range c.Changes {
		table = append(table, []string{ch.Title, string(ch.View), ch.Label, ch.Old.String(),
			ch.New.String(), change(ch), ch.Verdict()})
	}
	align(w, table, 3)
	fmt.Fprintln(w, "Better or worse means that the intervals do not overlap. Each is of its own "+
		"run: two runs of the same program differ by a little more.")
	for _, line := range c.Unpaired {
		fmt.Fprintf(w, "only in one run: %s\n", line)
	}
}

func change(c result.Change) string { return fmt.Sprintf("%+.1f %%", 100*(c.Factor()-1)) }

// align writes a table. The first texts columns are flush left, the others
// flush right.
func align(w io.Writer, table [][]string, texts int) {
	widths := make([]int, len(table[0]))
	for _, row := range table {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range table {
		var line strings.Builder
		for i, cell := range row {
			gap := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i < texts {
				line.WriteString(cell + gap + "  ")
			} else {
				line.WriteString(gap + cell + "  ")
			}
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
}

// views returns the views of a run in which something other than memory was
// measured, in order.
func views(f *result.File) (out []result.View) {
	seen := map[result.View]bool{}
	for _, w := range f.Workloads {
		if !seen[w.View] && !isIdle(w) {
			seen[w.View] = true
			out = append(out, w.View)
		}
	}
	return out
}

// workloads returns those of a view that are not about memory.
func workloads(f *result.File, view result.View) (out []result.Workload) {
	for _, w := range f.Workloads {
		if w.View == view && !isIdle(w) {
			out = append(out, w)
		}
	}
	return out
}

func isIdle(w result.Workload) bool { return strings.HasPrefix(w.Name, "idle") }

// count writes a whole number with thousands set apart.
func count(v float64) string {
	digits := strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// decimals writes small numbers with one decimal.
func decimals(v float64) string {
	if v < 100 {
		return fmt.Sprintf("%.1f", v)
	}
	return count(v)
}

func percent(v float64) string { return fmt.Sprintf("%.0f %%", 100*v) }
