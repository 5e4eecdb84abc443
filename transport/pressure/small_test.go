package pressure

import (
	"encoding"
	"errors"
	"strings"
	"testing"
)

func TestLevelsHaveNames(t *testing.T) {
	for text, level := range map[string]Level{
		"default": LevelDefault, "process": LevelProcess,
		"snapshot+edges": LevelSnapshot | LevelEdges, "flow+ring+funcs": boxed,
	} {
		var got Level
		if err := got.UnmarshalText([]byte(text)); err != nil || got != level {
			t.Errorf("%s: %v, %v", text, got, err)
		}
		if level.String() != text {
			t.Errorf("%v, want %s", level, text)
		}
	}
	var l Level
	if err := l.UnmarshalText([]byte("edges+more")); !errors.Is(err, ErrName) {
		t.Errorf("error is %v", err)
	}
}

func TestNamesAreParsed(t *testing.T) {
	for text, value := range map[string]encoding.TextUnmarshaler{
		"udp-drop": new(EventKind), "sndbuf": new(Cause), "sojourn": new(HistogramKind),
		"expired": new(ProbeStatus), "critical": new(Severity),
	} {
		if err := value.UnmarshalText([]byte(text)); err != nil {
			t.Error(err)
		}
		out, err := value.(encoding.TextMarshaler).MarshalText()
		if err != nil || string(out) != text {
			t.Errorf("%s became %s, %v", text, out, err)
		}
		if err := value.UnmarshalText([]byte("?")); !errors.Is(err, ErrName) {
			t.Errorf("error is %v", err)
		}
	}
	if got := Cause(200).String(); got != "200" {
		t.Errorf("cause 200 is %s", got)
	}
}

func TestQuantiles(t *testing.T) {
	var h Histogram
	if h.Quantile(0.5) != 0 {
		t.Error("an empty histogram has a median")
	}
	h.Slots[3], h.Slots[5] = 90, 10 // 90 of 8 to 16, 10 of 32 to 64
	for _, c := range []struct{ q, low, high float64 }{
		{0.01, 8, 9}, {0.5, 11, 13}, {0.9, 15, 16}, {0.95, 47, 49}, {1, 63, 64},
	} {
		if got := h.Quantile(c.q); got < c.low || got > c.high {
			t.Errorf("quantile %v is %v, want %v to %v", c.q, got, c.low, c.high)
		}
	}
}

func TestUnsupportedIsOneSentence(t *testing.T) {
	cause := errors.New("cause")
	err := error(&UnsupportedError{Need: "more", Err: cause})
	if !errors.Is(err, errors.ErrUnsupported) || !errors.Is(err, cause) {
		t.Error("it is not what it wraps")
	}
	if got := err.Error(); got != "eBPF tracing needs more (cause)" {
		t.Errorf("%q", got)
	}
	s := Support{Err: err, Probes: withoutKernel(err)}
	if text := s.String(); !strings.Contains(text, "needs more") ||
		strings.Count(text, "refused") != len(probes) {
		t.Errorf("table is\n%s", text)
	}
}
