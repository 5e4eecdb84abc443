package oracletest

import (
	"strings"
	"testing"
)

func TestEveryScenarioOnTheFakeLoop(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	for _, s := range loadAll(t) {
		t.Run(s.ID, func(t *testing.T) { Run(t, s, &fakeLoop{}) })
	}
}

func TestRecordingTwiceIsTheSame(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	for _, s := range loadAll(t) {
		one, err := Record(s, &fakeLoop{})
		if err != nil {
			t.Fatal(err)
		}
		two, err := Record(s, &fakeLoop{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := Compare(one, two, Exact); diff != "" {
			t.Errorf("%s\n%s", s.ID, diff)
		}
	}
}

// A subject that does as asyncio does must fail where there is a deviation.
func TestTheOtherTraceIsRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	for _, s := range loadAll(t) {
		if s.Deviation == nil {
			continue
		}
		got, err := Record(s, &fakeLoop{})
		if err != nil {
			t.Fatal(err)
		}
		asyncio, err := ReadTrace(Files(), s.ID, Asyncio)
		if err != nil {
			t.Fatal(err)
		}
		if Compare(asyncio, got, s.Level) == "" {
			t.Errorf("%s: our trace passes for asyncio's", s.ID)
		}
	}
}

// deaf is a network that lacks everything.
type deaf struct{ *fakeLoop }

func (deaf) Can(string) bool { return false }

func TestRunSkipsWhatTheNetworkCannotDo(t *testing.T) {
	for _, s := range loadAll(t) {
		if !strings.HasPrefix(s.ID, "reset-") {
			continue
		}
		skipped := false
		t.Run(s.ID, func(t *testing.T) {
			defer func() { skipped = t.Skipped() }()
			Run(t, s, deaf{&fakeLoop{}})
		})
		if !skipped {
			t.Errorf("%s ran", s.ID)
		}
	}
}
