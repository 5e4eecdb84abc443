package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluice-net/sluice/bench/internal/leaktest"
	"github.com/sluice-net/sluice/bench/internal/result"
	"github.com/sluice-net/sluice/bench/internal/stats"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func ptr(v float64) *float64 { return &v }

// sample is a run with everything that a report can show.
func sample() *result.File {
	latency := &result.Latency{P50: 20, P99: 80.5, P999: 12345}
	ratio := func(m, l, h float64) *stats.Interval {
		return &stats.Interval{Median: m, Low: l, High: h, Count: 25}
	}
	echo := result.Workload{Name: "echo/64/50", Title: "echo 64 B, 50 connections",
		View: result.Pinned, Conns: 50, Rows: []result.Row{
			{Contestant: "net", Label: "std net", Note: "package net", Messages: 100,
				PerSecond: 123456, MBPerSec: 7.9, CPUNS: 7000, ServerBusy: 1, LoadBusy: .7,
				Latency: latency, Syscalls: ptr(3), Allocs: ptr(0)},
			{Contestant: "net-again", Label: "std net, again", Messages: 100, PerSecond: 123400,
				CPUNS: 7010, Latency: latency, Ratio: ratio(1.01, .99, 1.02)},
			{Contestant: "uring", Label: "sluice io_uring", Note: "<io_uring> & more",
				Messages: 100, PerSecond: 200000, CPUNS: 4000, LoadBusy: .99, ServerBusy: .6,
				Latency: latency, Ratio: ratio(.57, .55, 3.5), Late: 12345,
				Pairs: []result.Pair{{To: "uring-old", Label: "<old>",
					Ratio: *ratio(1.0125, .9901, 1.031)}}},
			{Contestant: "epoll", Label: "sluice epoll", Error: "<script>alert(1)</script>"},
			{Contestant: "haproxy", Label: "HAProxy", Messages: 1, Ratio: ratio(3.4, 3.3, 3.6)},
			{Contestant: "nbio", Label: "nbio", Messages: 100, Lost: 77},
		}}
	receive := echo
	receive.Name, receive.Title, receive.View = "receive/65536/50", "receive", result.Unpinned
	idle := result.Workload{Name: "idle/10000", Title: "10000 idle connections",
		View: result.Pinned, Rows: []result.Row{
			{Contestant: "net", Label: "std net", IdleRSS: ptr(7979)},
			{Contestant: "uring", Label: "sluice io_uring", IdleRSS: ptr(1364)}}}
	idleTLS := result.Workload{Name: "idle-tls/1000", Title: "1000 idle TLS connections",
		View: result.Pinned, Rows: []result.Row{{Contestant: "net", Label: "std net",
			IdleRSS: ptr(51000), IdleHeap: ptr(23456)}}}
	return &result.File{Schema: result.Schema, Command: "go run ./bench",
		Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), SliceMS: 100,
		Machine: result.Machine{Kernel: "6.18.1", CPU: "Some CPU", CPUs: 2, Virtual: true,
			MemoryMB: 24105, Go: "go1.26", Network: "its own", Congestion: "cubic"},
		Notes: []string{"A note."}, Workloads: []result.Workload{echo, receive, idle, idleTLS}}
}

func comparison() *result.Comparison {
	old := sample()
	old.Machine.Kernel = "6.17"
	old.Workloads[0].Rows[2].Ratio = &stats.Interval{Median: .8, Low: .7, High: .9, Count: 9}
	c := result.Compare(old, sample())
	return &c
}

// An element of a page.
type element struct {
	name  string
	attrs map[string]string
}

// parse returns the elements and the text of a page, and fails if its tags do
// not match.
func parse(t *testing.T, page string) (elements []element, text string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(page))
	d.AutoClose, d.Entity = []string{"meta"}, xml.HTMLEntity
	d.Strict = false
	var words, open []string
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the page is not well-formed: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := element{token.Name.Local, map[string]string{}}
			for _, a := range token.Attr {
				e.attrs[a.Name.Local] = a.Value
			}
			elements, open = append(elements, e), append(open, e.name)
		case xml.EndElement:
			if last := len(open) - 1; last < 0 || open[last] != token.Name.Local {
				t.Fatalf("</%s> closes none of %v", token.Name.Local, open)
			} else {
				open = open[:last]
			}
		case xml.CharData:
			words = append(words, strings.Fields(string(token))...)
		}
	}
	if len(open) > 0 {
		t.Errorf("never closed: %v", open)
	}
	return elements, strings.Join(words, " ")
}

func render(t *testing.T, f *result.File, c *result.Comparison) string {
	t.Helper()
	var page bytes.Buffer
	if err := HTML(&page, f, c); err != nil {
		t.Fatal(err)
	}
	return page.String()
}

func TestPageSaysEverything(t *testing.T) {
	_, text := parse(t, render(t, sample(), comparison()))
	for _, want := range []string{
		"View: pinned", "View: unpinned", "echo 64 B, 50 connections", "sluice io_uring",
		"123,456", "12,345", "0.57 [0.55, 3.50]", "99 %*", "The load generator was the limit",
		"Linux 6.18.1", "Some CPU, 2 CPUs (virtual)", "24,105 MiB", "go1.26",
		"TCP cubic", "go run ./bench", "2026-01-02 03:04 UTC", "A note.", "<io_uring> & more",
		"alert(1)", "7,979", "1,364", "std net, TLS (pinned)", "51,000", "HAProxy",
		"never sent", "1.012 [0.990, 1.031]", "<old>", "kernel: 6.17 then, 6.18.1 now", "-28.8 %",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestPageStandsAlone(t *testing.T) {
	page := render(t, sample(), comparison())
	elements, _ := parse(t, page)
	for _, e := range elements {
		if slices.Contains([]string{"script", "link", "img", "iframe", "object"}, e.name) {
			t.Errorf("the page has a <%s>", e.name)
		}
		for name, value := range e.attrs {
			if name == "src" || name == "href" || strings.HasPrefix(name, "on") {
				t.Errorf("<%s> has %s=%q", e.name, name, value)
			}
		}
	}
	for _, never := range []string{"http://", "https://", "url(", "@import"} {
		if strings.Contains(page, never) {
			t.Errorf("the page contains %q", never)
		}
	}
	if !strings.Contains(page, "prefers-color-scheme: dark") {
		t.Error("the page has no dark form")
	}
}

// Everything drawn lies on its chart, and every colour class is one that the
// style sheet knows.
func TestChartsAreWithinTheirBounds(t *testing.T) {
	page := render(t, sample(), nil)
	elements, _ := parse(t, page)
	var width, height float64
	charts, drawn := 0, 0
	for _, e := range elements {
		if e.name == "svg" && e.attrs["class"] == "chart" {
			charts++
			if _, err := fmt.Sscanf(e.attrs["viewBox"], "0 0 %f %f", &width, &height); err != nil {
				t.Fatalf("viewBox %q: %v", e.attrs["viewBox"], err)
			}
		}
		if width == 0 || e.name != "line" && e.name != "text" {
			continue
		}
		for name, limit := range map[string]float64{"x": width, "x1": width, "x2": width,
			"y": height, "y1": height, "y2": height} {
			if value, ok := e.attrs[name]; ok {
				drawn++
				v, err := strconv.ParseFloat(value, 64)
				if err != nil || v < 0 || v > limit {
					t.Errorf("%s of a <%s> is %q, the chart ends at %v",
						name, e.name, value, limit)
				}
			}
		}
	}
	if charts != 5 { // ratio and latency of two views, memory
		t.Errorf("%d charts, want 5", charts)
	}
	if drawn == 0 {
		t.Error("nothing is drawn")
	}
	for _, c := range []string{"uring", "epoll", "net", "net-again"} {
		if !strings.Contains(page, "."+c+" {") && !strings.Contains(page, "."+c+",") {
			t.Errorf("the style sheet does not know .%s", c)
		}
	}
}

func TestAnIntervalThatIsCutOffHasNoEnd(t *testing.T) {
	c := ratioChart(sample(), result.Pinned)
	if len(c.Items) != 3 {
		t.Fatalf("%d lines, want 3", len(c.Items))
	}
	if n := len(c.Items[0].Ends); n != 2 {
		t.Errorf("an interval within the chart has %d ends", n)
	}
	if n := len(c.Items[1].Ends); n != 1 {
		t.Errorf("an interval that is cut off has %d ends", n)
	}
	beyond := c.Items[2]
	if beyond.Marks != nil || beyond.Ends != nil || beyond.Value != "3.40" {
		t.Errorf("a ratio beyond the chart is drawn as %+v", beyond)
	}
	edge := float64(chartWidth - valueWidth)
	if len(beyond.Beyond) != 1 || beyond.Beyond[0] != edge || c.Items[0].Beyond != nil {
		t.Errorf("marks at the edge at %v and %v", beyond.Beyond, c.Items[0].Beyond)
	}
}

// Every contestant that this program knows has a mark of its own, and so have some
// others; each is drawn.
func TestMarksAreDistinct(t *testing.T) {
	f := &result.File{Workloads: []result.Workload{{Name: "echo/64/50", View: result.Pinned}}}
	keys := append(slices.Sorted(maps.Keys(fixed)), "net-again", "uring-old", "epoll-old", "x")
	for _, key := range keys {
		f.Workloads[0].Rows = append(f.Workloads[0].Rows, result.Row{Contestant: key, Label: key,
			Ratio: &stats.Interval{Median: 1, Low: 1, High: 1}})
	}
	seen := map[mark]string{}
	for key, shape := range marks(f) {
		if other, twice := seen[shape]; twice {
			t.Errorf("%s and %s have the mark %s", key, other, shape)
		}
		seen[shape] = key
	}
	drawn := map[string]string{}
	page := render(t, f, nil)
	for shape, key := range seen {
		var b strings.Builder
		if err := pageTemplate(&b, shape); err != nil {
			t.Fatal(err)
		}
		if other, twice := drawn[b.String()]; twice {
			t.Errorf("%s and %s are drawn alike", key, other)
		}
		drawn[b.String()] = key
	}
	if len(seen) != len(keys) || !strings.Contains(page, "</html>") {
		t.Errorf("%d marks of %d contestants", len(seen), len(keys))
	}
}

// pageTemplate draws a mark.
func pageTemplate(w io.Writer, shape mark) error {
	return page.ExecuteTemplate(w, "mark", key{Shape: shape})
}

func TestHeadline(t *testing.T) {
	ratio := func(m, low float64) *stats.Interval {
		return &stats.Interval{Median: m, Low: low, High: m + 0.1, Count: 20}
	}
	workload := func(name, title string, r *stats.Interval, pairs ...result.Pair) result.Workload {
		return result.Workload{Name: name, Title: title, View: result.Pinned, Conns: 50,
			Rows: []result.Row{{Contestant: "net", Label: "std net"},
				{Contestant: "uring", Label: "sluice io_uring", Ratio: r, Pairs: pairs}}}
	}
	c := func(to string, m float64) result.Pair {
		return result.Pair{To: to, Ratio: stats.Interval{Median: m}}
	}
	echo := workload("echo/64/50", "echo", ratio(0.74, 0.7), c("epoll", 9), c("c-epoll", 0.9),
		c("c-uring", 1.06))
	for _, c := range []struct {
		workloads []result.Workload
		want      string
	}{
		{[]result.Workload{workload("send/1/1", "send", ratio(0.9, 0.8)), echo},
			"sluice io_uring, pinned: 0.74 of std net's CPU time at 50 connections, 1.06 of the " +
				"better server's in C, 0.74 to 0.90 over 2 workloads; dearer at nothing."},
		{[]result.Workload{echo, workload("a/1", "a", ratio(1.2, 0.99)),
			workload("b/1", "b", ratio(1.3, 1.1)), workload("c/1", "c", ratio(1.5, 1.1)),
			workload("d/1", "d", ratio(1.6, 1.1)), workload("e/1", "e", ratio(1.1, 1.05))},
			"sluice io_uring, pinned: 0.74 of std net's CPU time at 50 connections, 1.06 of the " +
				"better server's in C, 0.74 to 1.60 over 6 workloads; dearer only at d (1.60); " +
				"c (1.50); b (1.30); and 1 more."},
		{[]result.Workload{workload("send/1/1", "send", ratio(0.9, 0.8))},
			"sluice io_uring, pinned: 0.90 of std net's CPU time (send)."},
		{nil, ""},
	} {
		got := strings.Join(headlines(&result.File{Workloads: c.workloads}), "|")
		if got != c.want {
			t.Errorf("\n%s\nwant\n%s", got, c.want)
		}
	}
}

func TestNothingMeasuredIsNoPageOfCharts(t *testing.T) {
	f := &result.File{Schema: result.Schema}
	elements, _ := parse(t, render(t, f, nil))
	for _, e := range elements {
		if e.name == "svg" {
			t.Error("there is a chart")
		}
	}
}

func TestText(t *testing.T) {
	var out bytes.Buffer
	Text(&out, sample())
	TextComparison(&out, *comparison())
	text := out.String()
	for _, want := range []string{"PINNED", "UNPINNED", "123,456", "0.57 [0.55, 3.50]", "99 %*",
		"sluice epoll: <script>", "bytes  of Go objects", "1,364              –",
		"51,000         23,456",
		"sluice io_uring, pinned: 0.57 of std net's CPU time at 50 connections.",
		"77 datagrams lost, 100 came back",
		"COMPARED", "no certain change",
		"kernel: 6.17 then",
		"A note.", "too slow for this rate, 12,345 messages"} {
		if !strings.Contains(text, want) {
			t.Errorf("the text does not say %q:\n%s", want, text)
		}
	}
}

func TestColumnsAlign(t *testing.T) {
	var out bytes.Buffer
	align(&out, [][]string{{"head", "µs"}, {"x", "1,234"}, {"long text", "–"}}, 1)
	want := "head          µs\nx          1,234\nlong text      –\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestNumbers(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{count(0), "0"}, {count(999.6), "1,000"}, {count(1234567), "1,234,567"},
		{count(-1234), "-1,234"}, {count(-123), "-123"},
		{decimals(1.26), "1.3"}, {decimals(1234.4), "1,234"},
		{micros(0.5), "0.5 µs"}, {micros(1500), "1.5 ms"}, {micros(2e6), "2 s"},
		{percent(0.955), "96 %"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}
