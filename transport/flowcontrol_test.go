package transport

import (
	"errors"
	"math"
	"testing"
)

func TestS093_S094_TheMarksAreAtFirst64And16KiB(t *testing.T) {
	var fresh FlowControl
	if fresh.Limits() != (Limits{High: 65536, Low: 16384}) {
		t.Errorf("limits at first: %+v", fresh.Limits())
	}
}

// What is derived from one mark alone.
func TestLimits(t *testing.T) {
	for _, c := range []struct {
		name      string
		set, want Limits
		bad       bool
	}{
		{"S095_both", Limits{100, 10}, Limits{100, 10}, false},
		{"S095_only_high_and_low_is_a_quarter", Limits{100, -1}, Limits{100, 25}, false},
		{"S095_only_low_and_high_is_four_times_that", Limits{-1, 10}, Limits{40, 10}, false},
		{"S095_none_is_the_defaults", Limits{-1, -1}, DefaultLimits, false},
		{"S097_high_0_forces_low_0", Limits{0, -1}, Limits{0, 0}, false},
		{"S096_equal", Limits{7, 7}, Limits{7, 7}, false},
		{"S096_low_above_high", Limits{10, 11}, Limits{50, 5}, true},
		{"S096_low_above_high_0", Limits{0, 1}, Limits{50, 5}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var f FlowControl
			if _, err := f.SetLimits(Limits{50, 5}); err != nil {
				t.Fatal(err)
			}
			_, err := f.SetLimits(c.set)
			if errors.Is(err, ErrBadLimits) != c.bad || (err != nil) != c.bad {
				t.Errorf("error %v", err)
			}
			if f.Limits() != c.want {
				t.Errorf("limits %+v, want %+v", f.Limits(), c.want)
			}
		})
	}
}

// flowStep is one step of a table: n is added, or removed if it is negative.
type flowStep struct {
	n    int
	want Change
}

// When the marks are crossed.
func TestMarks(t *testing.T) {
	for _, c := range []struct {
		name   string
		limits Limits
		steps  []flowStep
	}{
		{"S098_at_high_nothing_and_one_beyond_pauses", Limits{10, 4},
			[]flowStep{{10, NoChange}, {1, Pause}}},
		{"S100_paused_once", Limits{10, 4},
			[]flowStep{{11, Pause}, {100, NoChange}, {0, NoChange}}},
		{"S101_resumed_at_low_and_not_above", Limits{10, 4},
			[]flowStep{{11, Pause}, {-6, NoChange}, {-1, Resume}, {-4, NoChange}}},
		{"S101_low_0_is_resumed_when_empty", Limits{10, 0},
			[]flowStep{{11, Pause}, {-10, NoChange}, {-1, Resume}}},
		{"S097_high_0_pauses_at_the_first_byte", Limits{0, 0},
			[]flowStep{{0, NoChange}, {1, Pause}, {-1, Resume}}},
		{"S103_paused_again_after_it_was_resumed", Limits{10, 4},
			[]flowStep{{11, Pause}, {-11, Resume}, {11, Pause}, {-11, Resume}}},
		{"S101_never_paused_and_never_resumed", Limits{10, 4},
			[]flowStep{{10, NoChange}, {-10, NoChange}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var f FlowControl
			if _, err := f.SetLimits(c.limits); err != nil {
				t.Fatal(err)
			}
			for i, s := range c.steps {
				var got Change
				if s.n < 0 {
					got = f.Shrank(-s.n)
				} else {
					got = f.Grew(s.n)
				}
				if got != s.want {
					t.Fatalf("step %d: %d instead of %d at size %d", i, got, s.want, f.Size())
				}
			}
		})
	}
}

func TestS104_LoweredMarksPauseAtOnce(t *testing.T) {
	var f FlowControl
	f.Grew(100)
	change, err := f.SetLimits(Limits{99, 0})
	if change != Pause || err != nil || !f.Paused() {
		t.Errorf("%d, %v, paused %v", change, err, f.Paused())
	}
}

// Also at a drain of nothing, which the loop makes soon.
func TestS105_RaisedMarksResumeAtTheNextDrain(t *testing.T) {
	var f FlowControl
	f.Grew(70 << 10)
	if change, err := f.SetLimits(Limits{200 << 10, 100 << 10}); change != NoChange || err != nil {
		t.Fatalf("%d, %v", change, err)
	}
	if !f.Paused() || f.Shrank(0) != Resume {
		t.Error("not resumed by the next drain")
	}
}

// TestBrokenAccountingPanics: bytes that are not there were lost or doubled.
func TestBrokenAccountingPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	var f FlowControl
	f.Grew(1)
	f.Shrank(2)
}

func TestMarksAtTheEndsOfTheirRange(t *testing.T) {
	const least, most = math.MinInt, math.MaxInt
	for _, c := range []struct{ set, want Limits }{
		{Limits{High: -1, Low: most}, Limits{High: most, Low: most}},
		{Limits{High: -1, Low: most/4 + 1}, Limits{High: most, Low: most/4 + 1}},
		{Limits{High: least, Low: most / 2}, Limits{High: most, Low: most / 2}},
		{Limits{High: most, Low: least}, Limits{High: most, Low: most / 4}},
		{Limits{High: least, Low: least}, DefaultLimits},
	} {
		var f FlowControl
		f.Grew(1)
		change, err := f.SetLimits(c.set)
		if f.Limits() != c.want || change != NoChange || err != nil {
			t.Errorf("%v: %v, %v, %v", c.set, f.Limits(), change, err)
		}
		if f.Excess(1) {
			t.Errorf("%v: two bytes are too many", c.set)
		}
		if c.want.High < most && !f.Excess(most) {
			t.Errorf("%v: nothing is too much", c.set)
		}
	}
}

func TestAssigningToDefaultLimitsChangesNothing(t *testing.T) {
	before := DefaultLimits
	defer func() { DefaultLimits = before }()
	DefaultLimits = Limits{High: 1}
	var f FlowControl
	if f.Limits() != before {
		t.Errorf("a new transport has %+v, not %+v", f.Limits(), before)
	}
	if _, err := f.SetLimits(Limits{High: -1, Low: -1}); err != nil || f.Limits() != before {
		t.Errorf("none asked for: %+v, %v", f.Limits(), err)
	}
}
