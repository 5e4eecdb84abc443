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

// Main is a package's TestMain: it runs the tests and exits with their status,
// or with 1 if they passed but left something behind.
func Main(m *testing.M) {
	collectLess()
	openPoller()
	before := descriptors()
	code := m.Run()
	if code == 0 {
		if left := wait(before); len(left) > 0 {
			fmt.Fprintf(os.Stderr, "leaktest: left behind:\n%s\n", strings.Join(left, "\n"))
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

// openPoller makes the runtime open the descriptors that it keeps.
func openPoller() {
	if r, w, err := os.Pipe(); err == nil {
		r.Close()
		w.Close()
	}
}

// wait asks until nothing is left or waitTimeout is at its end: a goroutine that
// exits tells nobody.
func wait(before []string) (left []string) {
	for end := time.Now().Add(waitTimeout); ; runtime.Gosched() {
		left = goroutines()
		for _, fd := range descriptors() {
			if !slices.Contains(before, fd) {
				left = append(left, "descriptor "+fd)
			}
		}
		if len(left) == 0 || time.Now().After(end) {
			return left
		}
	}
}

// descriptors returns the number and the target of each open descriptor.
func descriptors() []string {
	const dir = "/proc/self/fd/"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var out []string
	for _, entry := range entries {
		if target, err := os.Readlink(dir + entry.Name()); err == nil {
			out = append(out, entry.Name()+" "+target)
		}
	}
	return out
}

// expected are in the stacks of goroutines that are not the tests' own.
var expected = []string{"testing.(*M)", "os/signal.signal_recv", "leaktest.goroutines("}

func goroutines() []string {
	buf := make([]byte, 1<<20)
	var out []string
	for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		has := func(s string) bool { return strings.Contains(stack, s) }
		if !slices.ContainsFunc(expected, has) {
			out = append(out, stack)
		}
	}
	return out
}
