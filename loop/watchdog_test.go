package loop

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/protocol"
)

// handClock is an engine that only has a clock.
type handClock struct {
	proactor.Proactor
	now time.Duration
}

func (c *handClock) Now() time.Duration { return c.now }

// sleepy is some protocol.
type sleepy struct{ protocol.Base }

func (*sleepy) DataReceived([]byte) {}

func TestS414_ACallbackIsChargedForItsOwnTimeAlone(t *testing.T) {
	var slow []time.Duration
	var log strings.Builder
	clock := &handClock{}
	l := prepare(Options{Debug: true, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Trace: &Trace{SlowCallback: func(d time.Duration) { slow = append(slow, d) }}})
	l.engine = clock
	w := &l.watchdog
	w.Enter("", (&Handle{f: func() {}}).task())
	clock.now += 60 * time.Millisecond
	w.Enter("DataReceived", &sleepy{})
	w.Enter("PauseWriting", &sleepy{})
	clock.now += 250 * time.Millisecond
	w.Leave()
	clock.now += 99 * time.Millisecond
	w.Leave()
	clock.now += 39 * time.Millisecond
	w.Leave()
	if len(slow) != 1 || slow[0] != 250*time.Millisecond || w.Outermost() != nil {
		t.Errorf("slow callbacks of %v, %v still running", slow, w.Outermost())
	}
	const want = "Executing PauseWriting of *loop.sleepy took 0.250 seconds"
	if !strings.Contains(log.String(), want) {
		t.Errorf("logged %s", log.String())
	}
}

func TestAScheduledFunctionIsNamedByItself(t *testing.T) {
	plain := &Handle{f: scheduledHere}
	timer := &TimerHandle{Handle: Handle{f: scheduledHere}}
	for _, task := range []*scheduled{plain.task(), timer.task()} {
		if got := nameOf(task); !strings.HasSuffix(got, "loop.scheduledHere") {
			t.Errorf("it is called %s", got)
		}
	}
}

func scheduledHere() {}
