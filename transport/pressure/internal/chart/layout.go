package chart

import (
	"fmt"
	"html/template"
	"math"
	"strings"
	"time"
)

// Sizes in the units of the view box, which are CSS pixels at full width.
const (
	width        = 960
	labelWidth   = 176 // left of the plot: what a row is
	rightMargin  = 20
	plotWidth    = width - labelWidth - rightMargin
	axisHeight   = 24 // above the plot
	headHeight   = 22 // of a group's heading
	heatHeight   = 12
	stripHeight  = 26
	rowGap       = 5
	groupGap     = 12
	markHeight   = 3
	titleHeight  = 30 // of a file of its own
	legendHeight = 46
)

// A layout is a figure with everything in its place.
type layout struct {
	Title         string
	Width, Height int
	Offset        int // of everything below the title
	Alone         bool
	Style         template.CSS
	Ticks         []tick
	Top, Bottom   int
	Heads         []head
	Rows          []row
	Legend        []key
	NameX         int
}

// A tick is a line across the plot.
type tick struct {
	X    float64
	Text string
}

// A head is the heading of a group.
type head struct {
	Y                       int
	Label, Note, Badge      string
	BadgeX, BadgeWidth, Mid int
	Class                   string
}

// A row is a label and shapes right of it.
type row struct {
	Y, Height int
	Label     string
	Cells     []cell
	Areas     []area
	Marks     []cell
}

// A cell is a rectangle of a heat map, or a mark.
type cell struct {
	X, Width, Y float64
	Height      int
	Class, Tip  string
}

// An area is one cause of a strip.
type area struct {
	Class, Path, Tip string
}

func lay(f Figure) *layout {
	l := &layout{Title: f.Title, Width: width, NameX: labelWidth - 10, Top: axisHeight}
	y := axisHeight
	for i, g := range f.Groups {
		if i > 0 {
			y += groupGap
		}
		l.Heads = append(l.Heads, headOf(g, y))
		y += headHeight
		for _, s := range g.Strips {
			l.Rows = append(l.Rows, stripRow(f.Causes, s, y))
			y += stripHeight + rowGap
		}
		for _, h := range g.Heats {
			l.Rows = append(l.Rows, heatRow(h, y))
			y += heatHeight + rowGap
		}
	}
	l.Bottom, l.Height = y, y+4
	l.Ticks = ticks(f.Duration)
	return l
}

// headOf places a heading; the badge is as wide as its text is long.
func headOf(g Group, y int) head {
	wide := 18 + len([]rune(g.Badge))*13/2
	return head{Y: y + headHeight - 7, Label: g.Label, Note: g.Note, Badge: g.Badge,
		BadgeX: width - rightMargin - wide, BadgeWidth: wide,
		Mid: width - rightMargin - wide/2, Class: g.Class}
}

func x(part float64) float64 {
	return labelWidth + round(min(max(part, 0), 1)*plotWidth)
}

func round(v float64) float64 { return math.Round(v*10) / 10 }

// heatRow merges neighbours of one shade, so that a picture of a quiet server is
// small.
func heatRow(h Heat, y int) row {
	r := row{Y: y + heatHeight/2, Height: heatHeight, Label: h.Label}
	n := float64(len(h.Fill))
	for i := 0; i < len(h.Fill); {
		j := i + 1
		for j < len(h.Fill) && Step(h.Fill[j]) == Step(h.Fill[i]) {
			j++
		}
		from, to := x(float64(i)/n), x(float64(j)/n)
		r.Cells = append(r.Cells, cell{X: from, Width: round(to - from), Y: float64(y),
			Height: heatHeight, Class: heatClass(h.Fill[i])})
		i = j
	}
	for _, m := range h.Marks {
		from, to := x(m.From), x(m.To)
		r.Marks = append(r.Marks, cell{X: from, Width: max(round(to-from), 1.5),
			Y: float64(y + heatHeight), Height: markHeight,
			Class: m.Class, Tip: m.Tip})
	}
	return r
}

func heatClass(fill float64) string {
	if s := Step(fill); s >= 0 {
		return fmt.Sprintf("h%d", s)
	}
	return "hx"
}

// stripRow draws one area a cause, on top of each other.
func stripRow(causes []Cause, s Strip, y int) row {
	r := row{Y: y + stripHeight/2, Height: stripHeight, Label: s.Label}
	for i, c := range causes {
		if path, mean := stacked(s.Shares, i, y); path != "" {
			r.Areas = append(r.Areas, area{Class: c.Class, Path: path,
				Tip: fmt.Sprintf("%s: %s: %.0f %%", s.Label, c.Label, mean*100)})
		}
	}
	return r
}

// stacked returns the outline of cause i, all stretches of time in which it has
// a share, and its mean share of those with data.
func stacked(shares [][]float64, i, y int) (path string, mean float64) {
	var b strings.Builder
	n, total := float64(len(shares)), 0
	for k, list := range shares {
		if list == nil {
			continue
		}
		total++
		below := 0.0
		for _, v := range list[:i] {
			below += v
		}
		mean += list[i]
		height := list[i] * stripHeight
		if height < 0.05 {
			continue
		}
		from, to := x(float64(k)/n), x(float64(k+1)/n)
		top := float64(y) + stripHeight - below*stripHeight - height
		fmt.Fprintf(&b, "M%g %gH%gv%gH%gz", from, round(top), to, round(height), from)
	}
	return b.String(), mean / float64(max(total, 1))
}

// ticks returns at most ten round times.
func ticks(d time.Duration) []tick {
	step := tickStep(d)
	var out []tick
	for at := time.Duration(0); d > 0 && at <= d; at += step {
		out = append(out, tick{x(float64(at) / float64(d)), tickText(at, step)})
	}
	return out
}

// tickStep returns the smallest step that makes at most ten of d: decimal below
// a second, of the clock above.
func tickStep(d time.Duration) time.Duration {
	for decade := time.Millisecond; decade < time.Second; decade *= 10 {
		for _, step := range []time.Duration{decade, 2 * decade, 5 * decade} {
			if d/step <= 10 {
				return step
			}
		}
	}
	for _, s := range []time.Duration{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600} {
		if d/(s*time.Second) <= 10 {
			return s * time.Second
		}
	}
	return d / 10
}

func tickText(at, step time.Duration) string {
	switch {
	case at == 0:
		return "0"
	case step < time.Second:
		return fmt.Sprintf("%g s", round(at.Seconds()*100)/100)
	case step < time.Minute && at < 2*time.Minute:
		return fmt.Sprintf("%.0f s", at.Seconds())
	}
	return fmt.Sprintf("%d:%02d min", int(at.Minutes()), int(at.Seconds())%60)
}

// A key explains one colour.
type key struct {
	X, Y, TextX int
	Class       string
	Label       string
}

// legends places the keys of a file of its own, in lines below the plot.
func legends(f Figure, y int) []key {
	var out []key
	at := 8
	for _, c := range f.Causes {
		out = append(out, key{at, y + 12, at + 19, c.Class, c.Class})
		at += 44 + len(c.Class)*27/4
	}
	at = 8
	for s := 0; s <= Steps; s++ {
		label := ""
		if s == Steps {
			label = "buffers: empty to full"
		}
		out = append(out, key{at, y + 32, at + 19, fmt.Sprintf("h%d", s), label})
		at += 14
	}
	at += 170
	for _, m := range []Cause{{"paused", "paused writing or reading"},
		{"zero", "peer's window closed, or no receive buffer"}} {
		out = append(out, key{at, y + 32, at + 19, m.Class, m.Label})
		at += 44 + len(m.Label)*27/4
	}
	return out
}
