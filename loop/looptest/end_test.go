package looptest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// silent is a test that keeps its errors to itself.
type silent struct {
	testing.TB
	errors []string
}

func (s *silent) Errorf(format string, args ...any) {
	s.errors = append(s.errors, fmt.Sprintf(format, args...))
}

// ignorant is a protocol that does nothing.
type ignorant struct{ protocol.Base }

func (ignorant) DataReceived([]byte) {}

// connectPipe connects both ends of a pipe, and returns the writer.
func connectPipe(t *testing.T, l *loop.Loop) transport.WriteTransport {
	t.Helper()
	r, w, err := Pipe(l)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.ConnectReadPipe(t.Context(), ignorant{}, r); err != nil {
		t.Fatal(err)
	}
	tr, err := l.ConnectWritePipe(t.Context(), ignorant{}, w)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestATransportWhosePeerWasAbortedIsNotLeftOpen(t *testing.T) {
	Engines(t, func(t *testing.T, l *loop.Loop) {
		writer := connectPipe(t, l)
		Do(l, func() {
			writer.Abort()
			if n := l.Stats().Transports; n == 0 {
				t.Error("the reader knew of the end before its loop made a round")
			}
		})
		allEnd(t, l, timeouts{WaitTimeout, realTimeout})
	})
}

func TestATransportThatDoesNotEndIsLeftOpen(t *testing.T) {
	Engines(t, func(t *testing.T, l *loop.Loop) {
		writer := connectPipe(t, l)
		s := &silent{TB: t}
		allEnd(s, l, timeouts{onLoop: 50 * time.Millisecond})
		if want := []string{"2 transports left open"}; !slices.Equal(s.errors, want) {
			t.Errorf("errors %q, want %q", s.errors, want)
		}
		Do(l, writer.Abort)
	})
}
