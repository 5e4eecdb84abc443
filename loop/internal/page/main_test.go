package page

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestMain fails when tests leave pages open or mapped. The package starts no
// goroutines and opens nothing else.
func TestMain(m *testing.M) {
	if child := os.Getenv(childEnv); child != "" {
		os.Exit(beChild(child))
	}
	code := m.Run()
	if left := leftBehind(); code == 0 && len(left) > 0 {
		fmt.Fprintf(os.Stderr, "left behind:\n%s\n", strings.Join(left, "\n"))
		code = 1
	}
	os.Exit(code)
}

// leftBehind returns a line for each page that is open or mapped.
func leftBehind() []string {
	var out []string
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return []string{err.Error()}
	}
	for line := range strings.Lines(string(maps)) {
		if strings.Contains(line, name) {
			out = append(out, strings.TrimSpace(line))
		}
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return []string{err.Error()}
	}
	for _, e := range entries {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && strings.Contains(target, name) {
			out = append(out, e.Name()+" "+target)
		}
	}
	return out
}
