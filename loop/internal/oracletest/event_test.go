package oracletest

import (
	"strings"
	"testing"
)

func data(c, s string) Event { return Event{Conn: c, Name: dataReceived, data: []byte(s)} }

func TestNormaliseMergesAdjacentDeliveries(t *testing.T) {
	second := data("c1", "d")
	second.Protocol = 2
	got := Normalise([]Event{
		{Conn: "c1", Name: getBuffer}, data("c1", "a"), {Conn: "c1", Name: getBuffer},
		data("c1", "b"), data("c2", "x"), data("c1", "c"), second,
	}, Exact)
	want := []string{"6162", "78", "63", "64"}
	if len(got) != len(want) {
		t.Fatalf("got %d events %v, want %d", len(got), got, len(want))
	}
	for i, e := range got {
		if e.Hex != want[i] {
			t.Errorf("event %d has bytes %s, want %s", i+1, e.Hex, want[i])
		}
	}
}

func TestNormalisePartialOrdersByConnectionOnly(t *testing.T) {
	one := []Event{data("c1", "a"), data("c2", "x"), data("c1", "b"), data("c2", "y")}
	two := []Event{data("c2", "xy"), data("c1", "ab")}
	if diff := Compare(one, two, Partial); diff != "" {
		t.Errorf("partial order differs\n%s", diff)
	}
	if diff := Compare(one, two, Exact); diff == "" {
		t.Error("the exact orders are equal")
	}
}

func TestNormaliseLeavesItsArgumentAlone(t *testing.T) {
	events := []Event{data("c1", "a"), data("c1", "b")}
	Normalise(events, Exact)
	if string(events[0].data) != "a" || string(events[1].data) != "b" || events[0].Size != 0 {
		t.Errorf("the events became %v", events)
	}
}

func TestNormaliseMapsMessages(t *testing.T) {
	for message, want := range map[string]string{
		"Fatal error: protocol.data_received() call failed.": "data_received",
		"protocol.pause_writing() failed":                    "pause_writing",
		"Exception in callback":                              "callback",
	} {
		e := Event{Conn: "c1", Name: exceptionHandler, In: "write", Message: message}
		got := Normalise([]Event{e}, Exact)[0]
		if got.Message != want || got.In != "" || (got.Conn == "") != (want == "callback") {
			t.Errorf("%q became %s", message, got)
		}
	}
}

func TestCompareShowsTheFirstDifference(t *testing.T) {
	want := []Event{{Name: "a"}, {Name: "b"}, {Name: "c"}}
	for _, tc := range []struct {
		name string
		got  []Event
		diff string
	}{
		{"equal", []Event{{Name: "a"}, {Name: "b"}, {Name: "c"}}, ""},
		{"another event", []Event{{Name: "a"}, {Name: "x"}}, `+ {"ev":"x"}`},
		{"an event missing", []Event{{Name: "a"}, {Name: "b"}}, "+ (end of trace)"},
		{"an event too many", append(want[:3:3], Event{Name: "d"}), "- (end of trace)"},
		{"another error", []Event{{Name: "a", Err: "EPIPE"}}, `"err":"EPIPE"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			diff := Compare(want, tc.got, Exact)
			if (diff == "") != (tc.diff == "") || !strings.Contains(diff, tc.diff) {
				t.Errorf("got\n%s\nwant something with %s", diff, tc.diff)
			}
		})
	}
}

func TestInvariantsReject(t *testing.T) {
	made, lost := Event{Name: "connection_made"}, Event{Name: "connection_lost"}
	for _, tc := range []struct {
		name  string
		trace []Event
	}{
		{"made twice", []Event{made, made}},
		{"lost twice", []Event{made, lost, lost}},
		{"lost and never made", []Event{lost}},
		{"lost inside a call", []Event{made, {Name: "connection_lost", In: "close"}}},
		{"data before made", []Event{data("", "a"), made}},
		{"data after EOF", []Event{made, {Name: "eof_received"}, data("", "a")}},
		{"EOF twice", []Event{made, {Name: "eof_received"}, {Name: "eof_received"}}},
		{"data after lost", []Event{made, lost, data("", "a")}},
		{"resumed and not paused", []Event{made, {Name: "resume_writing"}}},
		{"paused twice", []Event{made, {Name: "pause_writing"}, {Name: "pause_writing"}}},
		{"filled and not offered", []Event{made, {Name: bufferUpdated, data: []byte("a")}}},
	} {
		if Compare(nil, tc.trace, Invariants) == "" {
			t.Errorf("%s: accepted", tc.name)
		}
	}
	good := []Event{made, {Name: getBuffer}, {Name: bufferUpdated, data: []byte("a")},
		{Name: "pause_writing", In: "write"}, {Name: "eof_received"},
		{Name: "resume_writing"}, lost}
	if diff := Compare(nil, good, Invariants); diff != "" {
		t.Error(diff)
	}
}
