package result

import (
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-net/sluice/bench/internal/leaktest"
	"github.com/sluice-net/sluice/bench/internal/stats"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func interval(median, low, high float64) *stats.Interval {
	return &stats.Interval{Median: median, Low: low, High: high, Count: 20}
}

func file(rows ...Row) *File {
	return &File{
		Schema: Schema, Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Command: "bench",
		Machine:   Machine{Kernel: "6.18", CPU: "a CPU", CPUs: 2, Go: "go1.26"},
		Workloads: []Workload{{Name: "echo/64/50", Title: "echo", View: Pinned, Rows: rows}},
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	syscalls := 0.0
	f := file(Row{Contestant: "uring", Label: "sluice", Messages: 5, CPUNS: 1.5,
		Latency: &Latency{1, 2, 3}, Syscalls: &syscalls, Ratio: interval(.6, .5, .7),
		CPURounds: []float64{1, 2}}, Row{Contestant: "epoll", Error: "broken"})
	path := filepath.Join(t.TempDir(), "result.json")
	if err := f.Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, f) {
		t.Errorf("read %+v, wrote %+v", got, f)
	}
}

func TestOtherFilesAreRefused(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"another schema", `{"schema":"sluice-bench/99"}`, "sluice-bench/99"},
		{"no schema", `{}`, `""`},
		{"no JSON", `hello`, "invalid character"},
		{"nothing", ``, "EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := decode(strings.NewReader(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("decode returned %v, want an error with %q", err, c.want)
			}
		})
	}
	path := filepath.Join(t.TempDir(), "missing.json")
	if _, err := Read(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("Read returned %v, want an error that names the file", err)
	}
}

func TestCompare(t *testing.T) {
	old := file(
		Row{Contestant: "net"},
		Row{Contestant: "uring", Ratio: interval(0.80, 0.78, 0.82)},
		Row{Contestant: "epoll", Ratio: interval(0.80, 0.78, 0.82)},
		Row{Contestant: "worse", Ratio: interval(0.80, 0.78, 0.82)},
		Row{Contestant: "gone", Ratio: interval(1, 1, 1)})
	now := file(
		Row{Contestant: "net"},
		Row{Contestant: "uring", Ratio: interval(0.60, 0.58, 0.62)},
		Row{Contestant: "epoll", Ratio: interval(0.81, 0.79, 0.83)},
		Row{Contestant: "worse", Ratio: interval(0.88, 0.83, 0.93)},
		Row{Contestant: "added", Ratio: interval(1, 1, 1)})
	c := Compare(old, now)
	var got []string
	for _, change := range c.Changes {
		got = append(got, change.Contestant+" "+change.Verdict())
	}
	want := []string{"uring better", "epoll no certain change", "worse worse"}
	if !slices.Equal(got, want) {
		t.Errorf("changes %q, want %q", got, want)
	}
	if f := c.Changes[0].Factor(); math.Abs(f-0.75) > 1e-9 {
		t.Errorf("factor %v, want 0.75", f)
	}
	wantAlone := []string{"new: echo/64/50 pinned added", "old: echo/64/50 pinned gone"}
	if !slices.Equal(c.Unpaired, wantAlone) {
		t.Errorf("unpaired %q, want %q", c.Unpaired, wantAlone)
	}
}

func TestOtherViewsAreNotCompared(t *testing.T) {
	old := file(Row{Contestant: "uring", Ratio: interval(1, 1, 1)})
	now := file(Row{Contestant: "uring", Ratio: interval(1, 1, 1)})
	now.Workloads[0].View = Unpinned
	if c := Compare(old, now); len(c.Changes) != 0 || len(c.Unpaired) != 2 {
		t.Errorf("changes %v, unpaired %v", c.Changes, c.Unpaired)
	}
}

func TestCautionNamesWhatDiffers(t *testing.T) {
	old, now := file(), file()
	if got := Compare(old, now).Caution(); got != "" {
		t.Errorf("caution %q between equal machines", got)
	}
	now.Machine.Kernel = "7.0"
	if got := Compare(old, now).Caution(); got != "kernel: 6.18 then, 7.0 now" {
		t.Errorf("caution %q", got)
	}
}

func TestLoadBound(t *testing.T) {
	for _, c := range []struct {
		name         string
		load, server float64
		want         bool
	}{
		{"both have time", 0.5, 0.5, false},
		{"the server is the limit", 0.97, 0.99, false},
		{"the load is the limit", 0.99, 0.8, true},
	} {
		if got := (Row{LoadBusy: c.load, ServerBusy: c.server}).LoadBound(); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestFailures(t *testing.T) {
	f := file(Row{Label: "a"}, Row{Label: "b", Error: "no io_uring", Missing: true},
		Row{Label: "c", Error: "mismatch"})
	if got := f.Failures(); !slices.Equal(got, []string{"echo/64/50, c: mismatch"}) {
		t.Errorf("failures %q", got)
	}
}

func TestCPUModel(t *testing.T) {
	model, _ := cpuModel("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nflags\t\t: fpu vme\n")
	if model != "Some CPU @ 2 GHz" {
		t.Errorf("model %q", model)
	}
	if _, virtual := cpuModel("flags : fpu hypervisor lm\n"); !virtual {
		t.Error("the hypervisor's flag was not seen")
	}
}

func TestThisMachine(t *testing.T) {
	m := ThisMachine(3, "own")
	if m.Kernel == "" || m.CPU == "" || m.MemoryMB == 0 || m.CPUs != 3 || m.Network != "own" {
		t.Errorf("%+v has gaps", m)
	}
}
