package looptest

import (
	"strings"
	"sync"
	"testing"

	"github.com/sluice-net/sluice/loop"
)

// A watch collects what a loop reports to its exception handler.
type watch struct {
	sim *simulation // the simulation of a simulated loop, or nil

	mu       sync.Mutex
	expected []string
	seen     []loop.Exception
}

// watches holds the watches of the loops under test.
var watches sync.Map // of *loop.Loop to *watch

// watchOver makes a watch the exception handler of l; see verdict.
func watchOver(l *loop.Loop, sim *simulation) *watch {
	w := &watch{sim: sim}
	watches.Store(l, w)
	l.SetExceptionHandler(w.handle)
	return w
}

func (w *watch) handle(e loop.Exception) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, e)
}

// verdict compares the exceptions seen with those expected.
func (w *watch) verdict(tb testing.TB) {
	w.mu.Lock()
	defer w.mu.Unlock()
	left := w.expected
	for _, e := range w.seen {
		i := match(left, e.Message)
		if i < 0 {
			tb.Errorf("exception handler: %s: %v", e.Message, e.Err)
			continue
		}
		left = append(left[:i:i], left[i+1:]...)
	}
	for _, message := range left {
		tb.Errorf("exception handler was not called with %q", message)
	}
}

func match(expected []string, message string) int {
	for i, part := range expected {
		if strings.Contains(message, part) {
			return i
		}
	}
	return -1
}

// Expect says that l, a loop made by this package, will report one exception whose
// message contains part. An exception that was not announced fails the test, and so does
// an expected one that does not come. A test that sets its own exception handler must not
// call Expect.
func Expect(l *loop.Loop, part string) {
	w := of(l)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.expected = append(w.expected, part)
}

// Exceptions returns what l, a loop made by this package, has reported so far.
func Exceptions(l *loop.Loop) []loop.Exception {
	w := of(l)
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]loop.Exception(nil), w.seen...)
}

func of(l *loop.Loop) *watch {
	w, ok := watches.Load(l)
	if !ok {
		panic("looptest: not a loop of this package")
	}
	return w.(*watch)
}
