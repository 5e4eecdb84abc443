package chart

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"
)

// sample is a healthy connection and a starved one.
func sample() Figure {
	f := Figure{Title: "a < b & c", Duration: 10 * time.Second,
		Causes: []Cause{{"idle", "idle"}, {"app", "app"}, {"peer", "peer"}}}
	quiet := Heat{Label: "send queue", Fill: []float64{0, 0, 0.02, 0, 0, 0, 0, 0, 0, 0}}
	full := Heat{Label: "send queue",
		Fill:  []float64{0, 0.2, 0.5, 0.9, 1, 1.2, 1, math.NaN(), 1, 1},
		Marks: []Mark{{0.3, 0.9, "paused", "writing paused"}}}
	idle := Strip{Label: "sending"}
	held := Strip{Label: "sending"}
	for i := range 10 {
		idle.Shares = append(idle.Shares, []float64{0.9, 0.1, 0})
		held.Shares = append(held.Shares, []float64{1 - float64(i)/9, 0, float64(i) / 9})
	}
	held.Shares[7] = nil
	f.Groups = []Group{
		{Label: "fd 7", Note: "127.0.0.1:1", Badge: "peer 90 %", Class: "peer",
			Strips: []Strip{held}, Heats: []Heat{full}},
		{Label: "fd 8", Note: "127.0.0.1:2", Badge: "healthy",
			Strips: []Strip{idle}, Heats: []Heat{quiet}},
	}
	return f
}

func TestAFigureIsWellFormedXML(t *testing.T) {
	var b bytes.Buffer
	if err := sample().WriteSVG(&b); err != nil {
		t.Fatal(err)
	}
	decoder := xml.NewDecoder(bytes.NewReader(b.Bytes()))
	elements := map[string]int{}
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, b.String())
		}
		if start, ok := token.(xml.StartElement); ok {
			elements[start.Name.Local]++
		}
	}
	if elements["svg"] != 1 || elements["path"] < 4 || elements["rect"] < 10 {
		t.Errorf("elements are %v", elements)
	}
	for _, want := range []string{"a &lt; b &amp; c", "prefers-color-scheme", "peer 90 %"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("has no %q", want)
		}
	}
}

func TestAFigureInAPageHasNoStyleSheetOfItsOwn(t *testing.T) {
	page, err := sample().HTML()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(page), "<style>") || strings.Contains(string(page), "xmlns") {
		t.Errorf("is not for a page:\n%s", page)
	}
}

func TestShadesShowWhatIsNotEmpty(t *testing.T) {
	for fill, want := range map[float64]int{
		-1: 0, 0: 0, 0.001: 1, 0.125: 1, 0.126: 2, 0.99: Steps, 1: Steps, 7: Steps,
	} {
		if got := Step(fill); got != want {
			t.Errorf("a fill of %g has shade %d, not %d", fill, got, want)
		}
	}
	if got := Step(math.NaN()); got != -1 {
		t.Errorf("no data has shade %d", got)
	}
}

func TestNeighboursOfOneShadeAreOneCell(t *testing.T) {
	r := heatRow(Heat{Fill: []float64{0, 0, 1, 1, 0}}, 0)
	if len(r.Cells) != 3 {
		t.Errorf("has %d cells, not 3", len(r.Cells))
	}
	if first, last := r.Cells[0], r.Cells[2]; first.X != labelWidth ||
		math.Abs(last.X+last.Width-(labelWidth+plotWidth)) > 0.11 {
		t.Errorf("reaches from %v to %v", first, last)
	}
}

func TestAMarkIsSeenHoweverShort(t *testing.T) {
	r := heatRow(Heat{Fill: []float64{0}, Marks: []Mark{{0.5, 0.5, "zero", ""}}}, 0)
	if w := r.Marks[0].Width; w < 1 {
		t.Errorf("is %g wide", w)
	}
}

func TestAStripStacksItsCauses(t *testing.T) {
	shares := [][]float64{{0.25, 0.75}, nil, {0.5, 0.5}}
	low, mean := stacked(shares, 0, 0)
	if mean != 0.375 {
		t.Errorf("the mean is %g, not that of the stretches with data", mean)
	}
	high, _ := stacked(shares, 1, 0)
	// The first stretch: a quarter from the bottom, and the rest above it.
	if !strings.HasPrefix(low, "M176 19.5H430.7v6.5") {
		t.Errorf("the lower one is %s", low)
	}
	if !strings.HasPrefix(high, "M176 0H430.7v19.5") {
		t.Errorf("the upper one is %s", high)
	}
	if n := strings.Count(low, "M"); n != 2 {
		t.Errorf("draws %d stretches, two have data", n)
	}
}

func TestTicksAreRoundAndFew(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Second:      "0 0.1 s 0.2 s 0.3 s 0.4 s 0.5 s 0.6 s 0.7 s 0.8 s 0.9 s 1 s",
		10 * time.Second: "0 1 s 2 s 3 s 4 s 5 s 6 s 7 s 8 s 9 s 10 s",
		47 * time.Second: "0 5 s 10 s 15 s 20 s 25 s 30 s 35 s 40 s 45 s",
		8 * time.Minute: "0 1:00 min 2:00 min 3:00 min 4:00 min 5:00 min " +
			"6:00 min 7:00 min 8:00 min",
		0: "",
	} {
		var got []string
		for _, tick := range ticks(d) {
			got = append(got, tick.Text)
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("%v has the ticks %q, not %q", d, text, want)
		}
	}
	if n := len(ticks(100 * time.Hour)); n > 11 {
		t.Errorf("100 hours have %d ticks", n)
	}
}
