package watchdog

import (
	"strings"
	"testing"
	"time"
)

func TestS414_TheStackIsThatOfTheGoroutineThatIsSlow(t *testing.T) {
	w := &Watchdog{}
	me := goroutine()
	w.arm(0, me)
	for began := time.Now(); time.Since(began) < 10*time.Second; {
		w.mu.Lock()
		stack := w.stack
		w.mu.Unlock()
		if stack != "" {
			if !strings.Contains(stack, t.Name()) {
				t.Errorf("took %s", stack)
			}
			if w.disarm() != stack {
				t.Error("the stack was not kept")
			}
			return
		}
	}
	t.Error("no stack was taken")
}
