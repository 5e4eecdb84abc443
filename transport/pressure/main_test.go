package pressure

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sluice-net/sluice/transport/pressure/internal/demo"
)

// TestMain fails when tests leave descriptors or goroutines behind. The test binary
// is its own demo server as well.
func TestMain(m *testing.M) {
	demo.Main()
	beChild()
	openPoller()
	before := descriptors()
	code := m.Run()
	if code == 0 {
		if left := leftBehind(before); left != "" {
			fmt.Fprintf(os.Stderr, "left behind:\n%s\n", left)
			code = 1
		}
	}
	os.Exit(code)
}

// openPoller makes the runtime open what it keeps open.
func openPoller() {
	if r, w, err := os.Pipe(); err == nil {
		r.Close()
		w.Close()
	}
}

func descriptors() map[string]string {
	out := map[string]string{}
	names, _ := filepath.Glob("/proc/self/fd/*")
	for _, name := range names {
		if target, err := os.Readlink(name); err == nil {
			out[name] = target
		}
	}
	return out
}

// leftBehind waits for what is ending, and returns what does not end.
func leftBehind(before map[string]string) string {
	waitTimeout := time.NewTimer(30 * time.Second)
	defer waitTimeout.Stop()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		left := leaks(before)
		if left == "" {
			return ""
		}
		select {
		case <-waitTimeout.C:
			return left
		case <-ticker.C:
		}
	}
}

func leaks(before map[string]string) string {
	var out strings.Builder
	for name, target := range descriptors() {
		if before[name] == "" {
			fmt.Fprintln(&out, name, target)
		}
	}
	buf := make([]byte, 1<<20)
	for i, stack := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		// The main goroutine and those of the testing and os/signal packages stay.
		if i > 0 && !strings.Contains(stack, "testing.") && !strings.Contains(stack, "os/signal") {
			fmt.Fprintln(&out, stack)
		}
	}
	return out.String()
}
