package text

import (
	"errors"
	"flag"
	"math"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sluice-net/sluice/transport/pressure"
	"github.com/sluice-net/sluice/transport/pressure/internal/sampletest"
	"github.com/sluice-net/sluice/transport/pressure/internal/view"
)

var update = flag.Bool("update", false, "write what is compared with")

// golden compares with a file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	name = "testdata/" + name
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is\n%s\nnot\n%s", name, got, want)
	}
}

func TestFramesOfAHealthyAndOfATroubledServer(t *testing.T) {
	var b view.Builder
	var out strings.Builder
	moments := sampletest.Moments(6)
	for i, m := range moments {
		f := b.Next(m.Snapshot, m.Accounts)
		if i > 1 && i < len(moments)-1 {
			continue
		}
		title := Title{"echo", sampletest.PID, m.Snapshot.Level}
		if err := Frame(&out, title, f, f.Time-sampletest.Start); err != nil {
			t.Fatal(err)
		}
	}
	golden(t, "frames.txt", out.String())
}

func TestFindings(t *testing.T) {
	var out strings.Builder
	if err := Findings(&out, nil); err != nil {
		t.Fatal(err)
	}
	out.WriteByte('\n')
	if err := Findings(&out, []pressure.Finding{
		{Name: "udp-drops", Severity: pressure.Critical, Subject: "fd 20",
			Evidence: "17 dropped", Remedy: "Raise SO_RCVBUF."},
		{Name: "slow-peer", Severity: pressure.Warning, Subject: "fd 8",
			Evidence: "window closed", Remedy: "Ask the peer to read."},
	}); err != nil {
		t.Fatal(err)
	}
	golden(t, "findings.txt", out.String())
}

func TestSupport(t *testing.T) {
	s := pressure.Support{Level: pressure.LevelProcess, Kernel: "6.18.1",
		Err: &pressure.UnsupportedError{Need: "CAP_BPF: run it as root"},
		Probes: []pressure.Probing{
			{Name: "snap", Hook: "iter/task_file", Level: pressure.LevelSnapshot,
				Status: pressure.ProbeRefused, Why: "EPERM", Remedy: "run it as root"},
			{Name: "punt", Hook: "tp_btf/io_uring_queue_async_work",
				Level: pressure.LevelEdges, Status: pressure.ProbeAvailable},
		}}
	var out strings.Builder
	if err := errors.Join(Support(&out, s), JSON(&out, s)); err != nil {
		t.Fatal(err)
	}
	golden(t, "support.txt", out.String())
}

func TestBarsShowTheLeastAndHideTheLast(t *testing.T) {
	for fill, want := range map[float64]string{
		0: "  ·  ", -1: "  ·  ", 0.0001: "▏    ", 0.5: "██▌  ", 0.999: "████▉", 1: "█████",
		9: "█████", 0.2: "█    ",
	} {
		if got := Bar(fill, 5); got != want {
			t.Errorf("a fill of %g is %q, not %q", fill, got, want)
		}
	}
	if got := Bar(math.NaN(), 5); got != "  -  " {
		t.Errorf("what is not known is %q", got)
	}
	for fill := 0.0; fill < 1.1; fill += 0.01 {
		if n := utf8.RuneCountInString(Bar(fill, 5)); n != 5 {
			t.Errorf("a fill of %g has %d columns", fill, n)
		}
	}
}

func TestTheSummaryCounts(t *testing.T) {
	title := Title{"x", 1, pressure.LevelProcess}
	for want, f := range map[string]view.Frame{
		"x (1)  1 connection, looking  level process":         {Conns: make([]view.Conn, 1)},
		"x (1)  0 connections, none held back  level process": {Span: time.Second},
	} {
		if got := Summary(title, f); got != want {
			t.Errorf("the summary is %q, not %q", got, want)
		}
	}
}
