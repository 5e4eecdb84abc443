package oracletest

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func loadAll(t *testing.T) []Scenario {
	t.Helper()
	all, err := Load(Files())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestEveryScenarioHasTheTracesThatItNeeds(t *testing.T) {
	versions, err := fs.ReadFile(Files(), "testdata/VERSION")
	if err != nil {
		t.Fatal(err)
	}
	wanted := map[string]bool{"VERSION": true}
	for _, s := range loadAll(t) {
		asyncio, err := ReadTrace(Files(), s.ID, Asyncio)
		if err != nil || len(asyncio) == 0 {
			t.Errorf("%s has no asyncio trace: %v", s.ID, err)
		}
		if !strings.Contains("\n"+string(versions), "\n"+s.ID+" 3.") {
			t.Errorf("VERSION does not say which Python recorded %s", s.ID)
		}
		want, err := s.Want(Files())
		if err != nil {
			t.Errorf("%s has a deviation and no trace of ours: %v", s.ID, err)
		}
		if same := Compare(asyncio, want, s.Level) == ""; same != (s.Deviation == nil) {
			t.Errorf("%s: traces are equal: %t, deviation: %v", s.ID, same, s.Deviation)
		}
		wanted[s.ID+".asyncio.jsonl"] = true
		wanted[s.ID+".sluice.jsonl"] = s.Deviation != nil
	}
	entries, err := fs.ReadDir(Files(), "testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !wanted[e.Name()] {
			t.Errorf("testdata/%s belongs to no scenario", e.Name())
		}
	}
}

func TestCommittedTracesAreNormalAndLegal(t *testing.T) {
	for _, s := range loadAll(t) {
		want, err := s.Want(Files())
		if err != nil {
			t.Fatal(err)
		}
		if diff := Compare(want, Normalise(want, s.Level), Exact); diff != "" {
			t.Errorf("%s is not in normal form\n%s", s.ID, diff)
		}
		if err := CheckInvariants(want); err != nil {
			t.Errorf("%s: %v", s.ID, err)
		}
	}
}

// uncovered are the statements of sections A to E that no scenario can say, each
// with the reason.
var uncovered = map[int]string{
	5:   "leaves the order open",
	27:  "about the socket object",
	28:  "about TLS",
	29:  "about pipes and subprocesses",
	30:  "about goroutines",
	31:  "about socket options",
	32:  "about socket options",
	33:  "needs two transports on one descriptor",
	34:  "about text for people",
	35:  "not applicable in Go",
	36:  "about the end of the loop, where the runner cannot look on",
	37:  "about types",
	39:  "about memory",
	71:  "about types",
	77:  "about types",
	89:  "leaves open whether there is an error",
	92:  "about completions, which readiness does not have",
	94:  "about uvloop",
	99:  "about TLS",
	110: "has no counterpart in asyncio",
	111: "has no counterpart in asyncio",
	112: "has no counterpart in asyncio",
	113: "has no counterpart in asyncio",
	115: "about types",
	117: "holds for every scenario: see CheckInvariants",
	119: "about TLS",
	121: "not applicable in Go",
	122: "about Python's contexts",
	123: "about a protocol object with several transports",
	126: "leaves the hint open",
	129: "about types",
	136: "about protocol.Feed",
	139: "not applicable to readiness",
	140: "about TLS",
	141: "about pipes",
}

func TestEveryCaseAndStatementIsCovered(t *testing.T) {
	cases, covered := map[string]bool{}, map[int]bool{}
	for _, s := range loadAll(t) {
		cases[s.Case] = true
		for _, n := range s.Statements {
			covered[n] = true
		}
	}
	for _, c := range []string{"C01", "C03", "C05", "C07", "C09", "C11", "C13", "C15", "C17",
		"C19", "C21", "C23", "C25", "C27", "C29", "C39"} {
		if !cases[c] {
			t.Errorf("no scenario of case %s", c)
		}
	}
	for n := 1; n <= 141; n++ {
		if why := uncovered[n]; covered[n] == (why != "") {
			t.Errorf("statement %d: covered %t, reason %q", n, covered[n], why)
		}
	}
}

func TestLoadRejects(t *testing.T) {
	const good = `{"id":"a","title":"t","statements":[1],"transport":"none",` +
		`"steps":[{"step":"batch","do":[{"do":"call_soon","label":"x"}]}]}`
	for _, tc := range []struct{ name, old, bad, want string }{
		{"an unknown field", `"title"`, `"titel"`, "titel"},
		{"an id in camel case", `"id":"a"`, `"id":"aB"`, "kebab-case"},
		{"a statement that is not there", `[1]`, `[453]`, "no statement 453"},
		{"a transport that is not there", `"none"`, `"carrier-pigeon"`, "carrier-pigeon"},
		{"a step that is not there", `"batch"`, `"bath"`, "no step"},
		{"an action that is not there", `"call_soon"`, `"call_late"`, "no action"},
		{"a held step at the end", `"batch",`, `"batch","hold":true,`, "nothing follows"},
		{"a deviation that is not there", `"title"`,
			`"deviation":{"number":"X27","why":"w"},"title"`, "X27"},
		{"a deviation without a reason", `"title"`,
			`"deviation":{"number":"X1"},"title"`, "reason"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			load := func(text string) error {
				file := &fstest.MapFile{Data: []byte("[" + text + "]")}
				_, err := Load(fstest.MapFS{"scenarios/x.json": file})
				return err
			}
			if err := load(good); err != nil {
				t.Fatalf("the scenario is wrong from the start: %v", err)
			}
			err := load(strings.Replace(good, tc.old, tc.bad, 1))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got error %v, want one with %q", err, tc.want)
			}
		})
	}
}

func TestTwoScenariosOfOneIDAreRejected(t *testing.T) {
	data, err := fs.ReadFile(Files(), "scenarios/p_scheduling.json")
	if err != nil {
		t.Fatal(err)
	}
	file := &fstest.MapFile{Data: data}
	_, err = Load(fstest.MapFS{"scenarios/a.json": file, "scenarios/b.json": file})
	if err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("got error %v, want one that says twice", err)
	}
}

func TestReadTraceOfNoScenario(t *testing.T) {
	if _, err := ReadTrace(Files(), "nosuch", Asyncio); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got error %v, want fs.ErrNotExist", err)
	}
}

// The trace has the hash of what pattern of peer.py made.
func TestPatternIsThatOfTheRecorder(t *testing.T) {
	trace, err := ReadTrace(Files(), "eof-flushes", Asyncio)
	if err != nil {
		t.Fatal(err)
	}
	got := Event{Conn: "c1", Name: "peer_recv", EOF: true, data: Pattern(1, 1<<20)}.digest()
	if !slices.ContainsFunc(trace, func(e Event) bool { return e.String() == got.String() }) {
		t.Errorf("no event %s in the trace", got)
	}
}
