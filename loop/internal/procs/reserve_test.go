package procs

import (
	"testing"
	"time"
)

// A fake is package runtime without a process.
type fake struct {
	n        int
	normal   int // the default
	updates  bool
	env      int  // what the environment asks for
	off      bool // the environment forbids updates
	restores int
	later    []func()
}

func (f *fake) procs() int       { return f.n }
func (f *fake) setProcs(n int)   { f.n, f.updates = n, false }
func (f *fake) fixed(n int) bool { return f.off || n == f.env }

func (f *fake) restore() {
	f.n, f.updates = f.normal, true
	f.restores++
}

func (f *fake) after(_ time.Duration, do func()) { f.later = append(f.later, do) }

func newFake(n int) (*fake, *reserve) {
	f := &fake{n: n, normal: n, updates: true}
	return f, &reserve{scheduler: f}
}

// add opens loops, or closes them if the number is negative.
func (r *reserve) add(loops, own int) {
	r.loops += loops
	r.own += own
	r.adjust()
}

// look is what a running loop does now and then.
func (r *reserve) look() {
	if r.changed() {
		r.adjust()
	}
}

// wait lets the time pass until a timer has run.
func (f *fake) wait(t *testing.T) {
	t.Helper()
	if len(f.later) != 1 {
		t.Fatalf("%d timers instead of 1", len(f.later))
	}
	do := f.later[0]
	f.later = nil
	do()
}

func (f *fake) expect(t *testing.T, n int, updates bool) {
	t.Helper()
	if f.n != n || f.updates != updates {
		t.Errorf("GOMAXPROCS is %d, updated %v, instead of %d, %v", f.n, f.updates, n, updates)
	}
}

func TestAPIsSpareWhereLoopsCouldOccupyAll(t *testing.T) {
	for _, c := range []struct{ procs, loops, own, want int }{
		{1, 0, 0, 1}, {1, 1, 0, 2}, {1, 3, 0, 4}, {1, 4, 0, 5}, {1, 9, 0, 5}, {2, 1, 0, 2},
		{2, 2, 0, 3}, {2, 6, 0, 7}, {2, 99, 0, 9}, {8, 7, 0, 8}, {8, 8, 0, 9}, {1, 1, 1, 2},
		{2, 1, 1, 3}, {2, 2, 2, 4}, {1, 2, 1, 3}, {4, 3, 1, 5}, {1, 9, 9, 10},
	} {
		f, s := newFake(c.procs)
		for i := range c.loops {
			s.add(1, min(1, max(0, c.own-i)))
		}
		if f.n != c.want {
			t.Errorf("%d loops, %d with a P of their own, on %d: %d, not %d", c.loops, c.own,
				c.procs, f.n, c.want)
		}
		if f.updates != (c.want == c.procs) {
			t.Errorf("with %d loops on %d updates are %v", c.loops, c.procs, f.updates)
		}
		for i := range c.loops {
			s.add(-1, -min(1, max(0, c.own-i)))
		}
		f.expect(t, c.procs, true)
	}
}

func TestLoopsThatShareTheOnlyPGetNoOther(t *testing.T) {
	f, s := newFake(1)
	callbacks, shares := &Loop{}, &Loop{shared: true}
	s.count(shares, 1)
	f.expect(t, 1, true)
	s.count(callbacks, 1)
	f.expect(t, 2, false)
	s.count(callbacks, -1)
	f.expect(t, 1, true)
	f.normal = 2
	f.restore()
	s.look()
	s.count(&Loop{shared: true}, 1)
	f.expect(t, 3, false)
}

func TestWhatTheProgramSetsIsTheNewBase(t *testing.T) {
	f, s := newFake(2)
	f.normal = 2
	s.add(2, 0)
	f.expect(t, 3, false)
	f.setProcs(5) // room for both loops and others
	s.look()
	f.expect(t, 5, false)
	f.setProcs(1)
	s.look()
	f.expect(t, 3, false)
	f.wait(t)
	f.expect(t, 3, false)
	s.add(-1, 0)
	f.expect(t, 2, false)
	f.setProcs(7)
	s.add(-1, 0)
	f.expect(t, 7, false)
}

func TestTheDefaultOfTheProgramIsTheNewBase(t *testing.T) {
	f, s := newFake(2)
	f.normal = 4
	f.setProcs(2)
	s.add(2, 0)
	f.expect(t, 3, false)
	f.restore() // by the program
	s.look()
	f.expect(t, 4, true)
	s.add(2, 0)
	f.expect(t, 5, false)
	f.normal = 3
	f.wait(t)
	f.expect(t, 5, false)
	s.add(-4, 0)
	f.expect(t, 3, true)
}

func TestAContainersLimitIsFollowed(t *testing.T) {
	f, s := newFake(4)
	s.add(4, 0)
	f.expect(t, 5, false)
	f.normal = 1 // somebody changes the limit
	f.wait(t)
	f.expect(t, 5, false)
	f.normal = 8
	f.wait(t)
	f.expect(t, 8, true)
	if len(f.later) != 0 {
		t.Error("the runtime is asked for a number that it updates by itself")
	}
	f.n = 4 // by the runtime
	f.normal = 4
	s.look()
	f.expect(t, 5, false)
	restores := f.restores
	for range 10 {
		s.look()
	}
	if f.restores != restores {
		t.Error("every look asks the runtime")
	}
	s.add(-4, 0)
	f.expect(t, 4, true)
	f.wait(t)
	f.expect(t, 4, true)
	if len(f.later) != 0 {
		t.Error("without loops there is a timer")
	}
}

func TestWhatTheEnvironmentSaysStays(t *testing.T) {
	f, s := newFake(2)
	f.env, f.normal, f.updates = 2, 8, false
	s.add(2, 0)
	f.expect(t, 3, false)
	s.add(-2, 0)
	f.expect(t, 2, false)
	f.off = true
	f.setProcs(8) // the default
	s.add(9, 0)
	f.expect(t, 10, false)
	s.add(-9, 0)
	f.expect(t, 8, false)
	if f.restores != 0 || len(f.later) != 0 {
		t.Errorf("the default was set %d times, %d timers", f.restores, len(f.later))
	}
}

func TestWhatTheProgramHadSetStays(t *testing.T) {
	f, s := newFake(2)
	f.normal = 8
	f.setProcs(2)
	s.add(2, 0)
	f.expect(t, 3, false)
	if len(f.later) != 0 {
		t.Error("a number that the program has set is looked after")
	}
	s.add(-2, 0)
	f.expect(t, 2, false)
}
