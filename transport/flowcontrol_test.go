package transport

import (
	"errors"
	"math"
	"testing"
)

// TestLimits is statements 93 to 96: the defaults, and what follows from one
// mark alone.
func TestLimits(t *testing.T) {
	var fresh FlowControl
	if fresh.Limits() != (Limits{High: 65536, Low: 16384}) {
		t.Errorf("limits at first: %+v", fresh.Limits())
	}
	for _, c := range []struct {
		name      string
		set, want Limits
		bad       bool
	}{
		{"both", Limits{100, 10}, Limits{100, 10}, false},
		{"only high: low is a quarter", Limits{100, -1}, Limits{100, 25}, false},
		{"only low: high is four times that", Limits{-1, 10}, Limits{40, 10}, false},
		{"none: the defaults", Limits{-1, -1}, DefaultLimits, false},
		{"high 0 forces low 0", Limits{0, -1}, Limits{0, 0}, false},
		{"equal", Limits{7, 7}, Limits{7, 7}, false},
		{"low above high", Limits{10, 11}, Limits{50, 5}, true},
		{"low above high 0", Limits{0, 1}, Limits{50, 5}, true},
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

// flowStep is one step of a table: n is added, or removed where it is negative.
type flowStep struct {
	n    int
	want Change
}

// TestMarks is statements 97 to 101 and 103: when the marks are crossed.
func TestMarks(t *testing.T) {
	for _, c := range []struct {
		name   string
		limits Limits
		steps  []flowStep
	}{
		{"98: at high nothing, one beyond pauses", Limits{10, 4},
			[]flowStep{{10, NoChange}, {1, Pause}}},
		{"100: paused once", Limits{10, 4},
			[]flowStep{{11, Pause}, {100, NoChange}, {0, NoChange}}},
		{"101: resumed at low, not above", Limits{10, 4},
			[]flowStep{{11, Pause}, {-6, NoChange}, {-1, Resume}, {-4, NoChange}}},
		{"101: low 0 is resumed when empty", Limits{10, 0},
			[]flowStep{{11, Pause}, {-10, NoChange}, {-1, Resume}}},
		{"97: high 0 pauses at the first byte", Limits{0, 0},
			[]flowStep{{0, NoChange}, {1, Pause}, {-1, Resume}}},
		{"103: paused again after it was resumed", Limits{10, 4},
			[]flowStep{{11, Pause}, {-11, Resume}, {11, Pause}, {-11, Resume}}},
		{"never paused, never resumed", Limits{10, 4},
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

// TestLoweredMarksPauseAtOnce is statement 104.
func TestLoweredMarksPauseAtOnce(t *testing.T) {
	var f FlowControl
	f.Grew(100)
	change, err := f.SetLimits(Limits{99, 0})
	if change != Pause || err != nil || !f.Paused() {
		t.Errorf("%d, %v, paused %v", change, err, f.Paused())
	}
}

// TestRaisedMarksResumeAtTheNextDrain is statement 105: also at a drain of
// nothing, which the loop makes soon.
func TestRaisedMarksResumeAtTheNextDrain(t *testing.T) {
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
