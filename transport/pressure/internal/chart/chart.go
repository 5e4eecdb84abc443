// Package chart draws what happens over time as SVG: heat maps of how full
// buffers are, with marks where somebody had to wait, and strips of shares that
// add up to all of the time. It draws numbers and knows nothing of sockets.
package chart

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"
	"time"
)

// A Figure is groups of rows along one axis of time.
type Figure struct {
	Title    string // for who cannot see it
	Duration time.Duration
	Causes   []Cause // of all strips; shares are in this order
	Groups   []Group
}

// A Cause is a part of a strip.
type Cause struct {
	Class string // of the style sheet
	Label string
}

// A Group is what belongs to one thing: a heading, and rows.
type Group struct {
	Label  string // bold
	Note   string // after the label, paler
	Badge  string // at the right: the verdict
	Class  string // of the badge, that of a cause; empty where nothing is wrong
	Strips []Strip
	Heats  []Heat
}

// A Strip is the shares of the causes, one list for each stretch of time, all
// stretches being equally long. Shares add up to 1; a nil list is no data.
type Strip struct {
	Label  string
	Shares [][]float64
}

// A Heat is how full something was in each stretch of time: 0 empty, 1 full, and
// what is beyond is drawn as full. NaN is no data.
type Heat struct {
	Label string // left of it
	Fill  []float64
	Marks []Mark
}

// A Mark is drawn over a part of a heat row: somebody waited.
type Mark struct {
	From, To float64 // parts of the duration, 0 to 1
	Class    string  // of the style sheet
	Tip      string
}

// Steps is how many shades a heat map has, besides that of an empty buffer.
const Steps = 8

// Step returns the shade of a fill: 0 for empty, Steps for full, and -1 for no
// data. What is not quite empty is seen: it has shade 1.
func Step(fill float64) int {
	switch {
	case math.IsNaN(fill):
		return -1
	case fill <= 0:
		return 0
	}
	return min(Steps, int(math.Ceil(fill*Steps)))
}

// Style is the style sheet that the classes are of.
//
//go:embed chart.css
var Style string

//go:embed chart.gosvg
var source string

var pages = template.Must(template.New("chart").Parse(source))

// HTML returns the figure as an svg element of a page that contains Style.
func (f Figure) HTML() (template.HTML, error) {
	var b strings.Builder
	if err := pages.ExecuteTemplate(&b, "figure", lay(f)); err != nil {
		return "", fmt.Errorf("draw %s: %w", f.Title, err)
	}
	return template.HTML(b.String()), nil //nolint:gosec // made by a template that escapes
}

// WriteSVG writes the figure as a file of its own, with its style sheet, a title
// and the legends.
func (f Figure) WriteSVG(w io.Writer) error {
	l := lay(f)
	l.Alone, l.Style = true, template.CSS(Style) //nolint:gosec // a constant
	l.Legend = legends(f, l.Height)
	l.Offset, l.Height = titleHeight, l.Height+titleHeight+legendHeight
	return pages.ExecuteTemplate(w, "figure", l)
}
