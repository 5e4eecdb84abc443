// Package leaktest fails a package's tests when they leave descriptors or
// goroutines behind.
package leaktest

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"
)

// waitTimeout is how long what is ending may take to end.
const waitTimeout = 30 * time.Second

// Main is a package's TestMain: it runs the tests, exits with their status, and
// with 1 if they passed but left something behind. Descriptors are compared
// with those open before the run.
func Main(m *testing.M) {
	collectLess()
	warmUp()
	before := descriptors()
	code := m.Run()
	if code == 0 {
		if leaks := wait(func() []string { return Leaks(before) }); len(leaks) > 0 {
			fmt.Fprintf(os.Stderr, "leaktest: left behind:\n%s\n", strings.Join(leaks, "\n"))
			code = 1
		}
	}
	os.Exit(code)
}

// collectLess makes the garbage collector run less often, which took a fifth of the time of the
// tests. Who sets GOGC decides: .ci/run also runs the tests under a collector that hardly rests.
func collectLess() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(800)
	}
}

// Leaks returns a line for each open descriptor that is not in before, and one
// for each goroutine that is neither the caller's nor the testing package's.
func Leaks(before []string) []string {
	var out []string
	for _, fd := range descriptors() {
		if !slices.Contains(before, fd) {
			out = append(out, "descriptor "+fd)
		}
	}
	return append(out, goroutines()...)
}

// Descriptors returns a line for each open descriptor: its number and what it
// is. Take it before what is to be checked, and give it to Leaks afterwards.
func Descriptors() []string {
	warmUp()
	return descriptors()
}

// warmUp makes the runtime open what it keeps open: its poller.
func warmUp() {
	if r, w, err := os.Pipe(); err == nil {
		r.Close()
		w.Close()
	}
}

func descriptors() []string {
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var out []string
	for _, entry := range entries {
		// The directory's own descriptor is closed by now and has no target.
		if target, err := os.Readlink(dir + "/" + entry.Name()); err == nil {
			out = append(out, entry.Name()+" "+target)
		}
	}
	return out
}

// ours are the goroutines that are there without anybody's leak.
var ours = []string{
	"testing.Main(", "testing.(*M).", "testing.tRunner(", "testing.runTests(",
	"os/signal.signal_recv", "runtime.ensureSigM", "leaktest.goroutines(",
	"runtime.goexit0", "testing/internal/testdeps", "internal/fuzz",
}

func goroutines() []string {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	var out []string
	for stack := range strings.SplitSeq(string(buf), "\n\n") {
		if !slices.ContainsFunc(ours, func(s string) bool { return strings.Contains(stack, s) }) {
			out = append(out, strings.TrimSpace(stack))
		}
	}
	return out
}

// wait asks until there are no leaks or waitTimeout is at its end. What is waited
// for, the exit of a goroutine, sends no signal.
func wait(leaks func() []string) []string {
	for end := time.Now().Add(waitTimeout); ; runtime.Gosched() {
		if out := leaks(); len(out) == 0 || time.Now().After(end) {
			return out
		}
	}
}

// Check fails t at its end if it leaves descriptors or goroutines behind. Tests
// that run in parallel cannot use it. Call it before anything else registers a
// cleanup.
func Check(t testing.TB) {
	t.Helper()
	before := Descriptors()
	running := goroutines()
	t.Cleanup(func() {
		leaks := wait(func() []string {
			return slices.DeleteFunc(Leaks(before), func(s string) bool {
				return slices.ContainsFunc(running, func(r string) bool { return id(r) == id(s) })
			})
		})
		for _, leak := range leaks {
			t.Errorf("left behind: %s", leak)
		}
	})
}

// id is what a goroutine's stack begins with: "goroutine 7".
func id(stack string) string {
	before, _, _ := strings.Cut(stack, " [")
	return before
}
