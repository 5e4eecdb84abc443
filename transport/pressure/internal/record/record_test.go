package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sluice-net/sluice/transport/pressure"
	"github.com/sluice-net/sluice/transport/pressure/internal/sampletest"
)

// sample is a recording of n made-up moments.
func sample(n int) *Recording {
	r := &Recording{Version: Version, Process: "echo <1>", PID: sampletest.PID, Host: "h",
		Kernel: "6.18", Started: time.Unix(1_800_000_000, 0).UTC(),
		Level: pressure.LevelSnapshot | pressure.LevelEdges, Events: sampletest.Events(n)}
	for _, m := range sampletest.Moments(n) {
		r.Moments = append(r.Moments, Moment{m.Snapshot, m.Accounts})
	}
	return r
}

func written(t *testing.T, r *Recording) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestARecordingIsReadBackWhole(t *testing.T) {
	want := sample(12)
	got, err := Read(strings.NewReader(written(t, want)))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read back\n%+v\nnot\n%+v", got, want)
	}
}

func TestWhatIsNotARecordingIsRefused(t *testing.T) {
	for text, want := range map[string]error{
		"":                                   ErrNoRecording,
		"no json":                            ErrNoRecording,
		"[]":                                 ErrNoRecording,
		`{"traceEvents":[]}`:                 ErrNoRecording,
		`{"sluice":7}`:                       ErrNoRecording,
		`{"sluice":{"version":"x"}}`:         ErrNoRecording,
		`{"sluice":{}}`:                      ErrVersion,
		`{"sluice":{"version":99}}`:          ErrVersion,
		`{"sluice":{"version":1,"pid":"x"}}`: ErrNoRecording,
		`{"sluice":{"version":1,"moments":[{}]}}`: ErrNoRecording,
		`{"sluice":{"version":1,"level":"x"}}`:    pressure.ErrName,
	} {
		if _, err := Read(strings.NewReader(text)); !errors.Is(err, want) {
			t.Errorf("%q is read with %v, not %v", text, err, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	var b bytes.Buffer
	small := sample(2)
	for _, m := range small.Moments {
		m.Snapshot.Conns = m.Snapshot.Conns[:1]
	}
	if err := small.Write(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := Read(bytes.NewReader(text))
		if err != nil {
			return
		}
		if err := r.Write(&bytes.Buffer{}); err != nil { // what can be read can be written
			t.Error(err)
		}
		r.Totals()
	})
}

// The rules of the format, as Perfetto and Chrome apply them.
func TestATraceFollowsTheFormat(t *testing.T) {
	var file struct {
		Events []struct {
			Name     *string
			Phase    string         `json:"ph"`
			Time     *float64       `json:"ts"`
			Duration *float64       `json:"dur"`
			PID      *int           `json:"pid"`
			TID      *int           `json:"tid"`
			Scope    string         `json:"s"`
			Args     map[string]any `json:"args"`
		} `json:"traceEvents"`
	}
	if err := json.Unmarshal([]byte(written(t, sample(12))), &file); err != nil {
		t.Fatal(err)
	}
	ends, names := map[int]float64{}, map[int]bool{}
	phases := map[string]int{}
	for i, e := range file.Events {
		phases[e.Phase]++
		if e.Name == nil || e.Time == nil || e.PID == nil || e.TID == nil || *e.Time < 0 {
			t.Fatalf("event %d lacks what all have: %+v", i, e)
		}
		switch e.Phase {
		case "M":
			names[*e.TID] = true
		case "C":
			for key, value := range e.Args {
				if _, number := value.(float64); !number {
					t.Errorf("the counter %s/%s is %v", *e.Name, key, value)
				}
			}
		case "X":
			if e.Duration == nil || *e.Duration <= 0 {
				t.Errorf("the slice %s has no duration", *e.Name)
			} else if *e.Time < ends[*e.TID] {
				t.Errorf("the slice %s overlaps one on its track", *e.Name)
			} else {
				ends[*e.TID] = *e.Time + *e.Duration
			}
			fallthrough
		case "i":
			if !names[*e.TID] {
				t.Errorf("%s is on a track without a name", *e.Name)
			}
		default:
			t.Errorf("event %d has the phase %q", i, e.Phase)
		}
	}
	for _, phase := range []string{"M", "C", "X", "i"} {
		if phases[phase] == 0 {
			t.Errorf("there is no event of phase %s: %v", phase, phases)
		}
	}
}

func TestWaitsJoinMomentsAndTakeEventsForExactEdges(t *testing.T) {
	r := sample(12)
	begin := r.Begin()
	var got []string
	for _, w := range r.Waits() {
		got = append(got, fmt.Sprintf("%d %s %v+%v %t", w.FD, w.Kind, w.From-begin,
			w.To-w.From, w.Exact))
	}
	want := []string{
		"8 writing paused 1s+1.75s false",
		"8 zero window 1s+1.6875s true",
		"8 armed 1s+1.75s false",
		"9 reading paused 1s+1.75s false",
		"10 no buffer 1s+1.75s false",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("waits are %q, not %q", got, want)
	}
	r.Events = nil
	for _, w := range r.Waits() {
		if w.Exact {
			t.Errorf("%v is said to be exact without an event", w)
		}
	}
}

func TestTotalsWeighByTime(t *testing.T) {
	account := func(from, to time.Duration, peer float64) pressure.Account {
		a := pressure.Account{FD: 3, Cookie: 9, From: from, To: to, Samples: 2}
		a.Send.Shares[pressure.CausePeer], a.Send.Shares[pressure.CauseIdle] = peer, 1-peer
		a.Send.Verdict, a.Send.Bytes = a.Send.Shares.Verdict(), 10
		a.Send.Reason = fmt.Sprint(peer)
		return a
	}
	r := &Recording{Moments: []Moment{
		{Accounts: []pressure.Account{account(0, time.Second, 0.2)}},
		{Accounts: []pressure.Account{account(time.Second, 4*time.Second, 1)}},
	}}
	totals := r.Totals()
	if len(totals) != 1 {
		t.Fatalf("there are %d totals", len(totals))
	}
	got := totals[0]
	if share := got.Send.Shares[pressure.CausePeer]; share != 0.8 {
		t.Errorf("the peer's share is %g, not 0.8", share)
	}
	if sum := got.Send.Shares.Sum(); sum < 0.999 || sum > 1.001 {
		t.Errorf("shares sum to %g", sum)
	}
	if got.Send.Verdict != pressure.CausePeer || got.Send.Reason != "1" ||
		got.Send.Bytes != 20 || got.Samples != 4 || got.To != 4*time.Second {
		t.Errorf("the total is %+v", got)
	}
}
