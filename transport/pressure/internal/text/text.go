// Package text writes what pressure finds as plain text: tables with a bar for
// each place that bytes pass through, findings, and what can be traced.
package text

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/sluice-net/sluice/transport/pressure"
	"github.com/sluice-net/sluice/transport/pressure/internal/view"
)

// BarWidth is that of the bar of a place, CellWidth that with its brackets.
const (
	BarWidth  = 5
	CellWidth = BarWidth + 2
)

// eighths are the parts of a column.
var eighths = []rune(" ▏▎▍▌▋▊▉█")

// Bar draws a fill in width columns, in eighths of one. What is not quite empty
// is seen, and what is not quite full is not drawn full. Nothing at all is a dot
// in the middle, and what is not known a dash.
func Bar(fill float64, width int) string {
	middle := func(s string) string {
		return strings.Repeat(" ", width/2) + s + strings.Repeat(" ", width-width/2-1)
	}
	switch {
	case math.IsNaN(fill):
		return middle("-")
	case fill <= 0:
		return middle("·")
	}
	parts := int(math.Round(fill * float64(width*8)))
	parts = min(max(parts, 1), width*8)
	if fill < 1 {
		parts = min(parts, width*8-1)
	}
	bar := strings.Repeat("█", parts/8)
	if parts%8 > 0 {
		bar += string(eighths[parts%8])
	}
	return bar + strings.Repeat(" ", width-(parts+7)/8)
}

// Cell draws the place i of a lane; the narrowest one is in brackets.
func Cell(l view.Lane, i int) string {
	bar := Bar(l.Places[i].Fill, BarWidth)
	if l.Narrowest == i {
		return "[" + bar + "]"
	}
	return " " + bar + " "
}

// Verdict says what holds a lane back and for how much of the time: "peer 98 %".
// It is "…" where there is no account yet, and "-" for a lane that is not held.
func Verdict(l view.Lane) string {
	if l.Shares.Sum() == 0 {
		return "…"
	}
	if l.Held() == 0 {
		return "-"
	}
	share := l.Held()
	if int(l.Cause) < pressure.Causes {
		share = l.Shares[l.Cause]
	}
	return fmt.Sprintf("%s %s", l.Cause, view.Percent(share))
}

// Header is the line above the lanes.
func Header() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%4s %-21s %-3s ", "FD", "PEER", "")
	for _, name := range view.Places {
		b.WriteString(center(strings.ToUpper(name), CellWidth))
	}
	fmt.Fprintf(&b, " %8s  %-12s %s", "RATE", "HELD BY", "WHY")
	return b.String()
}

// A Span is a part of a line that is all of one kind. What kind it is does not
// matter in plain text; a terminal paints it.
type Span struct {
	// Text is what is written.
	Text string
	// Kind is Plain, or another kind; for HeldBack, Cause says by what.
	Kind  Kind
	Cause pressure.Cause
}

// Kind is what a Span is.
type Kind uint8

// The kinds of spans.
const (
	Plain    Kind = iota
	Faint         // of no interest
	HeldBack      // the narrowest place, and the verdict
	Wrong         // something was lost, or is full
	Heading
)

// Lane is the line of one direction of a connection. The line of what goes out
// names the connection; that of what comes in does unless it is told that it is
// below the other one.
func Lane(c view.Conn, out, below bool) []Span {
	l, direction := c.Out, "out→"
	if !out {
		l, direction = c.In, "in ←"
	}
	who := fmt.Sprintf("%4d %-21s ", c.FD, c.Remote)
	if below {
		who = strings.Repeat(" ", 27)
	}
	spans := []Span{{Text: who}, {Text: direction, Kind: Faint}}
	for i, p := range l.Places {
		s := Span{Text: Cell(l, i)}
		switch {
		case l.Narrowest == i:
			s.Kind, s.Cause = HeldBack, l.Cause
		case !(p.Fill > 0):
			s.Kind = Faint
		}
		spans = append(spans, s)
	}
	verdict := Span{Text: fmt.Sprintf("  %-12s ", Verdict(l)), Kind: Faint}
	if l.Held() > 0 {
		verdict.Kind, verdict.Cause = HeldBack, l.Cause
	}
	return append(spans, Span{Text: fmt.Sprintf(" %8s", view.Rate(l.Rate))}, verdict,
		Span{Text: Why(c, l)})
}

// Join returns the text of spans, without blanks at its end.
func Join(spans []Span) string {
	var b strings.Builder
	for _, s := range spans {
		b.WriteString(s.Text)
	}
	return strings.TrimRight(b.String(), " ")
}

// Why is the evidence, and the state of a connection that is not simply open.
func Why(c view.Conn, l view.Lane) string {
	why := ""
	if l.Held() > 0 {
		why = l.Reason
	}
	if c.State != "open" {
		why = strings.TrimRight("("+c.State+") "+why, " ")
	}
	return why
}

// Resource is the line of what is no connection.
func Resource(r view.Resource) []Span {
	bar := Span{Text: Bar(r.Fill, BarWidth)}
	if !(r.Fill > 0) {
		bar.Kind = Faint
	}
	line := []Span{{Text: fmt.Sprintf("%-8s  ", r.Kind), Kind: Faint},
		{Text: fmt.Sprintf("%-24s ", r.Name)}, bar, {Text: "  " + r.Text}}
	if r.Wrong != "" {
		line = append(line, Span{Text: "  ! " + r.Wrong, Kind: Wrong})
	}
	return line
}

// A Title says of what the tables are.
type Title struct {
	// Process is the name and PID the number.
	Process string
	PID     int
	// Level is how closely was looked.
	Level pressure.Level
}

// Summary is the line above everything: whose connections, and how they are.
func Summary(t Title, f view.Frame) string {
	held := "none held back"
	if n := f.Held(); n > 0 {
		held = fmt.Sprintf("%d held back", n)
	}
	if f.Span == 0 {
		held = "looking"
	}
	plural := "s"
	if len(f.Conns) == 1 {
		plural = ""
	}
	return fmt.Sprintf("%s (%d)  %d connection%s, %s  level %s", t.Process, t.PID,
		len(f.Conns), plural, held, t.Level)
}

// Frame writes all of a frame.
func Frame(w io.Writer, t Title, f view.Frame, since time.Duration) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  after %s\n", Summary(t, f), view.Short(since))
	if len(f.Conns) > 0 {
		fmt.Fprintln(&b, Header())
	}
	for _, c := range f.Conns {
		fmt.Fprintln(&b, Join(Lane(c, true, false)))
		fmt.Fprintln(&b, Join(Lane(c, false, true)))
	}
	for _, r := range f.Resources {
		fmt.Fprintln(&b, Join(Resource(r)))
	}
	_, err := io.WriteString(w, b.String()+"\n")
	return err
}

func center(s string, width int) string {
	left := (width - len(s)) / 2
	return strings.Repeat(" ", left) + s + strings.Repeat(" ", width-left-len(s))
}
