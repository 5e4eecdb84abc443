package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-net/sluice/bench/internal/result"
)

func TestOtherBuildsStandBehindThose(t *testing.T) {
	c := parsed(t, "-engine", "uring,net", "-other", "old=/bin/sh", "-other", "b=/bin/sh")
	m := newMeasurement(c)
	var got []string
	for _, c := range m.contestants() {
		got = append(got, fmt.Sprintf("%s %s %s %s", c.Key, c.Label, c.Server, c.Program))
	}
	want := []string{"net std net net ", "net-again std net, again net ",
		"uring sluice io_uring uring ", "uring-old sluice io_uring, old uring /bin/sh",
		"uring-b sluice io_uring, b uring /bin/sh"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	wantPairs := [][2]string{{"uring", "epoll"}, {"uring", "c-epoll"}, {"uring", "c-uring"},
		{"epoll", "c-epoll"}, {"epoll", "c-uring"}, {"uring", "uring-old"}, {"uring", "uring-b"}}
	if got := pairs(m.contestants()); !slices.Equal(got, wantPairs) {
		t.Errorf("pairs %q, want %q", got, wantPairs)
	}
	if !c.isOther("uring-old") || c.isOther("uring") || c.isOther("uring-again") {
		t.Error("what is another build's is not known")
	}
}

// The other build is this one: it serves, and is compared with this one.
func TestAnotherBuildTakesPart(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	numbers := filepath.Join(t.TempDir(), "numbers.json")
	stdout, stderr, err := bench(t, "-smoke", "-engine", "epoll", "-other", "same="+self,
		"-workload", "^(echo/64/50|fan-out/64/)", "-json", numbers, "-o", "")
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	f, err := result.Read(numbers)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range f.Workloads {
		row := w.Row("epoll")
		if row == nil || len(row.Pairs) != 1 || row.Pairs[0].To != "epoll-same" ||
			row.Pairs[0].Ratio.Median <= 0 {
			t.Errorf("%s: %+v", w.Name, row)
		}
	}
	if len(f.Workloads) != 2 || !strings.Contains(stdout, "PAIRS") ||
		!strings.Contains(stdout, "sluice epoll, same") {
		t.Errorf("%d workloads:\n%s", len(f.Workloads), stdout)
	}
}

func TestAnotherBuildNeedNotKnowAWorkload(t *testing.T) {
	f := &result.File{Workloads: []result.Workload{{Name: "fan-out/64/1", Rows: []result.Row{
		{Contestant: "epoll", Messages: 1},
		{Contestant: "epoll-old", Error: "not a mode", Missing: true}}}}}
	c := &config{named: true, others: []other{{"old", "/bin/sh"}}}
	if err := judge(c, f); err != nil {
		t.Errorf("judge returned %v", err)
	}
	f.Workloads[0].Rows[1].Missing = false
	if judge(c, f) == nil {
		t.Error("that another build failed is no failure")
	}
}
