package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sluice-net/sluice/transport/pressure"
	"github.com/sluice-net/sluice/transport/pressure/internal/demo"
	"github.com/sluice-net/sluice/transport/pressure/internal/record"
	"github.com/sluice-net/sluice/transport/pressure/internal/sampletest"
)

// TestMain fails when tests leave goroutines or descriptors behind. The test
// binary is the server that is looked at as well, and the command.
func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	demo.Main()
	if r, w, err := os.Pipe(); err == nil { // makes the runtime open its poller
		r.Close()
		w.Close()
	}
	before := len(descriptors())
	code := m.Run()
	for end := time.Now().Add(30 * time.Second); code == 0; runtime.Gosched() {
		left := len(descriptors()) - before + runtime.NumGoroutine() - 1
		if left <= 0 {
			break
		}
		if time.Now().After(end) {
			stack := make([]byte, 1<<16)
			fmt.Fprintf(os.Stderr, "%d left behind: %v\n%s\n", left, descriptors(),
				stack[:runtime.Stack(stack, true)])
			code = 1
		}
	}
	os.Exit(code)
}

func descriptors() []string {
	names, _ := filepath.Glob("/proc/self/fd/*")
	return names
}

// sluicetop runs the command in this process.
func sluicetop(t *testing.T, args ...string) (status int, out, log string) {
	t.Helper()
	var o, l bytes.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	status = run(ctx, args, &o, &l)
	return status, o.String(), l.String()
}

// sample writes a recording of n of 30 made-up moments and returns its name.
func sample(t *testing.T, n int) string {
	t.Helper()
	r := &record.Recording{Version: record.Version, Process: "echo", PID: sampletest.PID,
		Level: pressure.LevelSnapshot, Started: time.Unix(1_800_000_000, 0)}
	for _, m := range sampletest.Moments(30)[:n] {
		r.Moments = append(r.Moments, record.Moment{Snapshot: m.Snapshot, Accounts: m.Accounts})
	}
	name := filepath.Join(t.TempDir(), "trace.json")
	if err := create(name, r.Write); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestWrongArgumentsSayWhatIsWrong(t *testing.T) {
	trace := sample(t, 3)
	gone := fmt.Sprint(1 << 30)
	for _, c := range []struct {
		args   string
		status int
		says   string
	}{
		{"", 0, ""},
		{"-h", 0, ""},
		{"nonsense", 2, `no command "nonsense"`},
		{"top", 2, "which process? -p PID"},
		{"top -h", 0, "usage: sluicetop top"},
		{"top -p x", 2, "invalid value"},
		{"top -p 1 -level x", 2, `level "x"`},
		{"top -p 1 -interval 1ms", 2, "too short"},
		{"top -p 1 file", 2, `one argument too many: "file"`},
		{"top -p " + gone, 1, "process " + gone},
		{"record -p " + gone, 1, "process " + gone},
		{"report", 2, "which recording?"},
		{"report /nowhere/x.json", 1, "no such file"},
		{"report " + os.Args[0], 1, "not a recording of sluicetop"},
		{"report " + trace + " -diff /nowhere/x.json", 1, "no such file"},
		{"report " + trace + " -o /nowhere/x.html", 1, "no such file"},
		{"doctor", 2, "which process? -p PID"},
		{"doctor -p 1 " + trace, 2, "either a recording or a process"},
		{"pprof " + trace + " " + trace, 2, "one argument too many"},
		{"metrics -p " + gone, 1, "process " + gone},
		{"probes x", 2, "one argument too many"},
	} {
		status, out, log := sluicetop(t, strings.Fields(c.args)...)
		if status != c.status || !strings.Contains(log, c.says) {
			t.Errorf("%q exits with %d and says %q, not %d and %q", c.args, status, log, c.status,
				c.says)
		}
		if c.says == "" && !strings.HasPrefix(out, "sluicetop tells") {
			t.Errorf("%q prints %q", c.args, out)
		}
	}
}

func TestWhatIsMadeOfARecording(t *testing.T) {
	trace, healthy, dir := sample(t, 30), sample(t, 10), t.TempDir()
	for args, want := range map[string]string{
		trace + " -o " + dir + "/a.html":                       "5 of 7 connections were held back",
		"-diff " + healthy + " -o " + dir + "/b.html " + trace: "Compared with the recording",
		trace + " -o " + dir + "/c.svg":                        "<svg class=\"chart\" xmlns",
	} {
		status, _, log := sluicetop(t, append([]string{"report"}, strings.Fields(args)...)...)
		name := dir + "/" + strings.Fields(args[strings.Index(args, dir)+len(dir)+1:])[0]
		text, err := os.ReadFile(name)
		if status != 0 || err != nil || !strings.Contains(string(text), want) {
			t.Errorf("report %s exits with %d (%s, %v), or has no %q", args, status, log, err, want)
		}
	}
	profile := filepath.Join(dir, "p.pb.gz")
	if status, _, log := sluicetop(t, "pprof", trace, "-o", profile); status != 0 ||
		!strings.Contains(log, "go tool pprof -top "+profile) {
		t.Errorf("pprof exits with %d and says %q", status, log)
	}
}

func TestTheDoctorOfARecording(t *testing.T) {
	trace, healthy := sample(t, 30), sample(t, 10)
	for args, want := range map[string]struct {
		status int
		out    string
	}{
		healthy:              {0, "Nothing found"},
		healthy + " -strict": {0, "Nothing found"},
		trace:                {0, "slow-peer"},
		trace + " -strict":   {1, "slow-peer"},
		trace + " -json":     {0, `"name": "slow-peer"`},
		healthy + " -json":   {0, "["},
	} {
		status, out, log := sluicetop(t, append([]string{"doctor"}, strings.Fields(args)...)...)
		if status != want.status || !strings.Contains(out, want.out) {
			t.Errorf("doctor %s exits with %d and prints %q (%s)", args, status, out, log)
		}
	}
}

func TestProbesAreListedWithOrWithoutPrivilege(t *testing.T) {
	status, out, _ := sluicetop(t, "probes")
	if status != 0 || !strings.Contains(out, "iter/task_file") {
		t.Errorf("probes exits with %d and prints\n%s", status, out)
	}
	if status, out, _ = sluicetop(t, "probes", "-json"); status != 0 ||
		!strings.Contains(out, `"probes": [`) {
		t.Errorf("probes -json exits with %d and prints\n%s", status, out)
	}
}

func TestAFileThatCannotBeWrittenWholeIsNotLeft(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x")
	if err := create(name, (&record.Recording{PID: 1, Moments: []record.Moment{{
		Snapshot: &pressure.Snapshot{Took: 1}, Accounts: []pressure.Account{{
			Send: pressure.Side{Shares: pressure.Shares{nan()}}}}}}}).Write); err == nil {
		t.Fatal("a number that JSON does not have was written")
	}
	if _, err := os.Stat(name); !os.IsNotExist(err) {
		t.Errorf("the file is there: %v", err)
	}
}

func nan() float64 { zero := 0.0; return zero / zero }
