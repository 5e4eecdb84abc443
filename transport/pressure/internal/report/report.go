// Package report draws a recording as one page of HTML with all its pictures
// inline, and as a picture by itself.
package report

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"time"

	"github.com/sluice-net/sluice/transport/pressure"
	"github.com/sluice-net/sluice/transport/pressure/internal/chart"
	"github.com/sluice-net/sluice/transport/pressure/internal/record"
	"github.com/sluice-net/sluice/transport/pressure/internal/view"
)

// DetailsMax is how many connections are drawn one by one, those that were held
// back most; the table has all of them.
const DetailsMax = 24

// overviewMax is how many connections the heat map of all has.
const overviewMax = 60

//go:embed report.gohtml
var source string

var pages = template.Must(template.New("report").Parse(source))

// A page is what the template shows.
type page struct {
	Title    string
	Style    template.CSS
	Facts    [][2]string
	Headline string
	Good     bool
	Findings []pressure.Finding
	Overview template.HTML
	Details  template.HTML
	Left     int // connections that are not among the details
	Legend   []chart.Cause
	Shades   []string
	Rows     []row
	Diff     *diff
}

// A row is a connection in the table.
type row struct {
	FD                     int
	Route                  string
	Out, In                string
	OutClass, InClass, Why string
	Sent, Received         string
	Queue                  string
}

// Write writes a page. before is a recording to compare with, or nil.
func Write(w io.Writer, r, before *record.Recording) error {
	p, err := pageOf(r)
	if err != nil {
		return err
	}
	if before != nil {
		p.Diff = compare(before, r)
	}
	return pages.Execute(w, p)
}

// WriteSVG writes the pictures of the connections that were held back most, and
// of one that was not, as an SVG by itself.
func WriteSVG(w io.Writer, r *record.Recording, connections int) error {
	all := lines(r)
	shown := all[:min(connections, len(all))]
	if n := len(shown); n > 1 && all[len(all)-1].held() == 0 {
		shown = append(shown[:n-1:n-1], busiest(all))
	}
	return details(r, shown, title(r)).WriteSVG(w)
}

// busiest returns the connection with the most bytes of those not held back.
func busiest(all []*line) *line {
	best := all[len(all)-1]
	for _, l := range all {
		if l.held() == 0 && moved(l) > moved(best) {
			best = l
		}
	}
	return best
}

func moved(l *line) uint64 { return l.total.Send.Bytes + l.total.Receive.Bytes }

func title(r *record.Recording) string {
	return fmt.Sprintf("%s (%d): what held its connections back",
		cmp.Or(r.Process, "process"), r.PID)
}

func pageOf(r *record.Recording) (*page, error) {
	all := lines(r)
	p := &page{Title: title(r), Style: template.CSS(chart.Style), //nolint:gosec // a constant
		Facts: facts(r, all), Findings: r.Findings(), Legend: legend()}
	p.Headline, p.Good = headline(all)
	for s := range chart.Steps + 1 {
		p.Shades = append(p.Shades, fmt.Sprintf("h%d", s))
	}
	var err error
	if p.Overview, err = overview(r, all).HTML(); err != nil {
		return nil, err
	}
	shown := all[:min(DetailsMax, len(all))]
	p.Left = len(all) - len(shown)
	if p.Details, err = details(r, shown, title(r)).HTML(); err != nil {
		return nil, err
	}
	for _, l := range all {
		p.Rows = append(p.Rows, rowOfLine(l))
	}
	return p, nil
}

func facts(r *record.Recording, all []*line) [][2]string {
	span := r.End() - r.Begin()
	out := [][2]string{
		{"process", fmt.Sprintf("%s, PID %d", r.Process, r.PID)},
		{"where", fmt.Sprintf("%s, Linux %s", r.Host, r.Kernel)},
		{"when", fmt.Sprintf("%s, for %s", r.Started.Format("2006-01-02 15:04:05 MST"),
			view.Short(span))},
		{"looked at", fmt.Sprintf("%d connections, %d moments, level %s", len(all),
			len(r.Moments), r.Level)},
	}
	if n := len(r.Events); n > 0 || r.Lost > 0 {
		out = append(out, [2]string{"events", fmt.Sprintf("%d, and %d that were left out",
			n, r.Lost)})
	}
	if r.Limits != "" {
		out = append(out, [2]string{"limits", r.Limits})
	}
	return out
}

// headline is the page in a sentence.
func headline(all []*line) (sentence string, good bool) {
	held := 0
	for _, l := range all {
		if l.held() > 0 {
			held++
		}
	}
	switch {
	case len(all) == 0:
		return "There was no connection to look at.", true
	case held == 0:
		return fmt.Sprintf("None of %d connections was held back.", len(all)), true
	}
	worst := all[0]
	side, way := worst.total.Send, "sending to"
	if heldOf(worst.total.Receive) > heldOf(side) {
		side, way = worst.total.Receive, "receiving from"
	}
	why := cmp.Or(meanings[side.Verdict], "several causes")
	return fmt.Sprintf("%d of %d connections were held back; most of all %s %s: %s, "+
		"%s of the time.", held, len(all), way, worst.total.Remote, why,
		view.Percent(waitingFor(side))), false
}

// waitingFor is the share of the verdict, of all waiting where it is mixed.
func waitingFor(s pressure.Side) float64 {
	if int(s.Verdict) < pressure.Causes {
		return s.Shares[s.Verdict]
	}
	return s.Shares.Waiting()
}

// overview has a heat row for each connection: the fullest of its buffers.
func overview(r *record.Recording, all []*line) chart.Figure {
	f := chart.Figure{Title: "How full the fullest buffer of each connection was",
		Duration: r.End() - r.Begin()}
	g := chart.Group{Label: "Fullest buffer", Note: "of each connection"}
	for _, l := range all[:min(overviewMax, len(all))] {
		h := chart.Heat{Label: fmt.Sprintf("fd %d %s", l.total.FD, l.total.Remote)}
		for k := range l.fills[sendRow] {
			h.Fill = append(h.Fill, fullest(l, k))
		}
		for row := range heats {
			h.Marks = append(h.Marks, l.marks(r, row)...)
		}
		g.Heats = append(g.Heats, h)
	}
	f.Groups = []chart.Group{g}
	return f
}

// fullest is the fullest of the buffers in one stretch; NaN if none is known.
func fullest(l *line, k int) float64 {
	out := math.NaN()
	for row := range heats {
		if v := l.fills[row][k]; !math.IsNaN(v) && !(out >= v) {
			out = v
		}
	}
	return out
}

func details(r *record.Recording, shown []*line, title string) chart.Figure {
	f := chart.Figure{Title: title, Duration: r.End() - r.Begin(), Causes: legend()}
	for _, l := range shown {
		f.Groups = append(f.Groups, l.group(r))
	}
	return f
}

func rowOfLine(l *line) row {
	out := row{FD: l.total.FD, Route: route(l), Out: verdict(l.total.Send),
		In: verdict(l.total.Receive), Sent: view.Bytes(int(l.total.Send.Bytes)),
		Received: view.Bytes(int(l.total.Receive.Bytes)),
		Queue: fmt.Sprintf("%s of %s", view.Bytes(l.conn.Queued),
			view.Bytes(l.conn.SndBuf))}
	if heldOf(l.total.Send) > 0 {
		out.OutClass, out.Why = l.total.Send.Verdict.String(), l.total.Send.Reason
	}
	if heldOf(l.total.Receive) > 0 {
		out.InClass = l.total.Receive.Verdict.String()
		out.Why = cmp.Or(out.Why, l.total.Receive.Reason)
	}
	return out
}

// seconds writes a time with one decimal.
func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
