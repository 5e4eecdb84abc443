package perfetto

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

// written returns a small trace with a section of its own.
func written(t *testing.T) string {
	t.Helper()
	events := append(ThreadName(7, 2, "fd 12 <a&b> \u2028"),
		ProcessName(7, "sérver"),
		Event{Name: "queue", Phase: Counter, Time: Micros(1500), PID: 7,
			Args: map[string]any{"bytes": 3}},
		Event{Name: "paused", Phase: Complete, Time: Micros(time.Millisecond),
			Duration: Micros(2 * time.Microsecond), PID: 7, TID: 2},
		Event{Name: "drop", Phase: Instant, Scope: "t", PID: 7, TID: 2})
	var b bytes.Buffer
	if err := Write(&b, events, "own", map[string]any{"version": 1}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestATraceIsValidJSONWithTheEventsFirstAndTheSectionLast(t *testing.T) {
	text := written(t)
	var whole struct {
		Unit   string           `json:"displayTimeUnit"`
		Events []map[string]any `json:"traceEvents"`
		Own    map[string]any   `json:"own"`
	}
	if err := json.Unmarshal([]byte(text), &whole); err != nil {
		t.Fatal(err)
	}
	if whole.Unit != "ms" || len(whole.Events) != 6 || whole.Own["version"] != 1.0 {
		t.Errorf("read back %+v", whole)
	}
	events, own := strings.Index(text, `"traceEvents"`), strings.Index(text, `"own"`)
	if unit := strings.Index(text, `"displayTimeUnit"`); !(unit < events && events < own) {
		t.Errorf("the order is unit %d, events %d, own %d", unit, events, own)
	}
}

func TestPerfettoReadsNoUnicodeEscapes(t *testing.T) {
	text := written(t)
	if strings.Contains(text, `\u`) {
		t.Errorf("has an escape that Perfetto does not read:\n%s", text)
	}
	if !strings.Contains(text, `"fd 12 <a&b> ?"`) || !strings.Contains(text, `"s?rver"`) {
		t.Errorf("names are not plain:\n%s", text)
	}
}

func TestTimesAreMicrosecondsToTheNanosecond(t *testing.T) {
	for in, want := range map[time.Duration]string{
		0: "0", 1: "0.001", 1500: "1.500", time.Second: "1000000", 1<<40 + 7: "1099511627.783",
	} {
		if got, err := json.Marshal(Micros(in)); err != nil || string(got) != want {
			t.Errorf("%d ns is written %s (%v), not %s", in, got, err, want)
		}
	}
}

// A broken writer takes nothing.
type broken struct{}

var errBroken = errors.New("broken")

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestErrorsOfWriterAndSectionAreReturned(t *testing.T) {
	if err := Write(broken{}, nil, "own", 1); !errors.Is(err, errBroken) {
		t.Errorf("the writer's error is %v", err)
	}
	if err := Write(&bytes.Buffer{}, nil, "own", func() {}); err == nil {
		t.Error("a section that cannot be encoded passed")
	}
	event := Event{Args: map[string]any{"f": func() {}}}
	if err := Write(&bytes.Buffer{}, []Event{event}, "own", 1); err == nil {
		t.Error("an event that cannot be encoded passed")
	}
}
