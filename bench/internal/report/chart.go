package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/sluice-net/sluice/bench/internal/result"
)

// Sizes in the units of the charts' view boxes, which are CSS pixels at full
// width.
const (
	chartWidth = 960
	labelWidth = 352 // left of the plot: what a line is about
	labelGap   = 16  // between that and the plot
	valueWidth = 72  // right of it: a number
	valueGap   = 20  // between that and the plot
	lineHeight = 15
	groupGap   = 10
	headHeight = 26 // above the plot: the axis
)

// A chart is lines one below the other along one axis.
type chart struct {
	Title         string   // what it shows; for who cannot see it
	Heads         [2]label // above the lines' labels and numbers
	Width, Height int
	Ticks         []tick
	Labels        []label
	Bands         []band
	Items         []item
	Top, Bottom   float64
}

// A tick is a line across the plot.
type tick struct {
	X     float64
	Text  string
	Heavy bool
}

// A band is the ground of every second group.
type band struct{ Y, Height float64 }

// A label is the text left of a group of lines, or above a column.
type label struct {
	X, Y float64
	Text string
}

// An item is one contestant's line: a bar from Low to High, and marks on it.
type item struct {
	Class     string
	Shape     mark
	Y         float64
	Low, High float64
	Marks     []float64
	Beyond    []float64 // at the edge of the axis, if the mark would lie beyond it
	Ends      []float64 // short strokes
	Bar       bool      // thick
	Value     string
	ValueX    float64
	Tip       string
}

// An axis maps values to positions.
type axis struct {
	low, high float64
	log       bool
}

func (a axis) x(v float64) float64 {
	low, high := a.low, a.high
	v = min(max(v, low), high)
	if a.log {
		low, high, v = math.Log(low), math.Log(high), math.Log(v)
	}
	return labelWidth + (v-low)/(high-low)*(chartWidth-labelWidth-valueWidth)
}

// inside returns the positions of those values that the axis shows.
func (a axis) inside(values ...float64) (out []float64) {
	for _, v := range values {
		if a.low <= v && v <= a.high {
			out = append(out, a.x(v))
		}
	}
	return out
}

// past returns where the axis ends, if v lies beyond that.
func (a axis) past(v float64) []float64 {
	if v <= a.high {
		return nil
	}
	return []float64{a.x(a.high)}
}

// A layout puts lines one below the other.
type layout struct {
	chart *chart
	y     float64
}

// newLayout begins a chart whose lines are about what, and have a number.
func newLayout(c *chart, what, number string) *layout {
	c.Width, c.Top = chartWidth, headHeight
	c.Heads = [2]label{{labelWidth - labelGap, headHeight - 10, what},
		{chartWidth - valueWidth + valueGap, headHeight - 10, number}}
	return &layout{chart: c, y: headHeight + groupGap/2}
}

// group begins a group of n lines.
func (l *layout) group(text string, n int) {
	if len(l.chart.Labels) > 0 {
		l.y += groupGap
	}
	if height := float64(n * lineHeight); len(l.chart.Labels)%2 == 0 {
		l.chart.Bands = append(l.chart.Bands, band{l.y - groupGap/2, height + groupGap})
	}
	l.chart.Labels = append(l.chart.Labels,
		label{labelWidth - labelGap, l.y + float64(n*lineHeight)/2, text})
}

func (l *layout) line(i item) {
	i.Y = l.y + lineHeight/2.0
	i.ValueX = chartWidth - valueWidth + valueGap
	l.chart.Items = append(l.chart.Items, i)
	l.y += lineHeight
}

// done returns the chart, nil if nothing is on it.
func (l *layout) done() *chart {
	l.chart.Bottom = l.y + groupGap/2
	l.chart.Height = int(l.chart.Bottom) + 4
	if len(l.chart.Items) == 0 {
		return nil
	}
	return l.chart
}

// lines calls f for the rows of each workload of a view that show accepts.
func lines(f *result.File, view result.View, l *layout, show func(result.Row) bool,
	draw func(result.Workload, result.Row) item) {
	shapes := marks(f)
	for _, w := range workloads(f, view) {
		var rows []result.Row
		for _, r := range w.Rows {
			if show(r) {
				rows = append(rows, r)
			}
		}
		if len(rows) == 0 {
			continue
		}
		l.group(w.Title, len(rows))
		for _, r := range rows {
			i := draw(w, r)
			i.Class, i.Shape = r.Contestant, shapes[r.Contestant]
			l.line(i)
		}
	}
}

// margin is by how much an interval may go beyond the medians before it is cut
// off, so that one bad round does not press all else together.
const margin = 0.25

// ratioMax is where a ratio chart ends. What lies beyond has its number, and a mark at
// the edge that points there.
const ratioMax = 2

// ratioRange returns what the axis of a ratio chart has to show.
func ratioRange(f *result.File, view result.View) (low, high float64) {
	var medians, ends []float64
	for _, w := range workloads(f, view) {
		for _, r := range w.Rows {
			if r.Ratio != nil {
				medians = append(medians, r.Ratio.Median)
				ends = append(ends, r.Ratio.Low, r.Ratio.High)
			}
		}
	}
	low, high = 0.6, 1.1
	if medians != nil {
		low = min(low, max(slices.Min(ends), slices.Min(medians)-margin))
		high = max(high, min(slices.Max(ends), slices.Max(medians)+margin))
	}
	return max(low, 0), min(high, ratioMax)
}

// ratioChart has a dot and its interval for each contestant but the base. Where
// an interval is cut off, the stroke at its end is missing.
func ratioChart(f *result.File, view result.View) *chart {
	has := func(r result.Row) bool { return r.Ratio != nil }
	low, high := ratioRange(f, view)
	a := axis{low: math.Floor(10*low) / 10, high: math.Ceil(10*high) / 10}
	c := &chart{Title: "Server CPU time for a message, as a ratio to the base"}
	step := 1 + math.Floor((a.high-a.low)/1.2)
	for k := math.Ceil(10 * a.low); k <= 10*a.high+0.5; k += step {
		c.Ticks = append(c.Ticks, tick{a.x(k / 10), fmt.Sprintf("%.1f", k/10), k == 10})
	}
	l := newLayout(c, "workload", "ratio")
	lines(f, view, l, has, func(w result.Workload, r result.Row) item {
		return item{Low: a.x(r.Ratio.Low), High: a.x(r.Ratio.High),
			Ends:  a.inside(r.Ratio.Low, r.Ratio.High),
			Marks: a.inside(r.Ratio.Median), Beyond: a.past(r.Ratio.Median),
			Value: fmt.Sprintf("%.2f", r.Ratio.Median),
			Tip:   fmt.Sprintf("%s, %s: %s of %d rounds", w.Title, r.Label, r.Ratio, r.Ratio.Count)}
	})
	return l.done()
}

// latencyChart has a bar from the 50th to the 99.9th percentile, with a stroke
// at the 99th.
func latencyChart(f *result.File, view result.View) *chart {
	has := func(r result.Row) bool { return r.Latency != nil && r.Latency.P50 > 0 }
	low, high := math.Inf(1), 0.0
	for _, w := range workloads(f, view) {
		for _, r := range w.Rows {
			if has(r) {
				low, high = min(low, r.Latency.P50), max(high, r.Latency.P999)
			}
		}
	}
	if high == 0 {
		return nil
	}
	a := axis{low: math.Pow(10, math.Floor(math.Log10(low))),
		high: math.Pow(10, math.Ceil(math.Log10(high))), log: true}
	c := &chart{Title: "Latency: a message's way there and back (logarithmic)"}
	for v := a.low; v <= a.high*1.01; v *= 10 {
		c.Ticks = append(c.Ticks, tick{a.x(v), micros(v), false})
	}
	l := newLayout(c, "workload", "p50")
	lines(f, view, l, has, func(w result.Workload, r result.Row) item {
		t := r.Latency
		return item{Low: a.x(t.P50), High: a.x(t.P999), Marks: []float64{a.x(t.P50)},
			Ends: []float64{a.x(t.P99), a.x(t.P999)}, Value: micros(t.P50),
			Tip: fmt.Sprintf("%s, %s: p50 %s, p99 %s, p99.9 %s", w.Title, r.Label,
				micros(t.P50), micros(t.P99), micros(t.P999))}
	})
	return l.done()
}

// memoryChart has a bar for the memory of an idle connection.
func memoryChart(f *result.File) *chart {
	high := 0.0
	for _, w := range f.Workloads {
		for _, r := range w.Rows {
			if r.IdleRSS != nil {
				high = max(high, *r.IdleRSS)
			}
		}
	}
	if high <= 0 {
		return nil
	}
	step := math.Pow(2, math.Floor(math.Log2(high/4)))
	a := axis{low: 0, high: step * math.Ceil(high/step)}
	c := &chart{Title: "Memory of an idle connection, bytes of the server process"}
	for v := 0.0; v <= a.high; v += step {
		c.Ticks = append(c.Ticks, tick{a.x(v), count(v), v == 0})
	}
	l := newLayout(c, "server", "bytes")
	for _, w := range f.Workloads {
		for _, r := range w.Rows {
			if r.IdleRSS == nil {
				continue
			}
			l.group(fmt.Sprintf("%s (%s)", memoryLabel(w, r), w.View), 1)
			l.line(item{Class: r.Contestant, Low: a.x(0), High: a.x(*r.IdleRSS), Bar: true,
				Value: count(*r.IdleRSS), Tip: fmt.Sprintf("%s, %s: %s bytes a connection",
					w.Title, r.Label, count(*r.IdleRSS))})
		}
	}
	return l.done()
}

func memoryLabel(w result.Workload, r result.Row) string {
	if strings.HasPrefix(w.Name, "idle-tls/") {
		return r.Label + ", TLS"
	}
	return r.Label
}

// micros writes a time given in microseconds with a fitting unit.
func micros(us float64) string {
	switch {
	case us >= 1e6:
		return fmt.Sprintf("%.3g s", us/1e6)
	case us >= 1e3:
		return fmt.Sprintf("%.3g ms", us/1e3)
	}
	return fmt.Sprintf("%.3g µs", us)
}
