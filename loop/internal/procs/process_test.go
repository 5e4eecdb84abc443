package procs

import (
	"runtime"
	"testing"
	"time"
)

func TestTheProcessHasItsOldNumberInTheEnd(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	loops := make([]Loop, before)
	for i := range loops {
		loops[i].Open(false)
	}
	if n := runtime.GOMAXPROCS(0); n != before+1 {
		t.Errorf("GOMAXPROCS is %d with as many loops as there were Ps, %d", n, before)
	}
	look()
	for i := range loops {
		loops[i].Close()
	}
	if n := runtime.GOMAXPROCS(0); n != before {
		t.Errorf("GOMAXPROCS is %d instead of %d", n, before)
	}
}

func TestALookSeesWhatTheProgramHasSet(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.SetDefaultGOMAXPROCS()
	var l Loop
	l.Open(false)
	runtime.GOMAXPROCS(before + 3)
	runtime.GOMAXPROCS(1)
	var y Yielder
	y.Start(0)
	y.Yield(lookEvery - 1)
	await(t, 2, func() { y.Yield(y.last + lookEvery) })
	l.Close()
	if n := runtime.GOMAXPROCS(0); n != 1 {
		t.Errorf("GOMAXPROCS is %d instead of 1", n)
	}
}

// await calls f until GOMAXPROCS is n.
func await(t *testing.T, n int, f func()) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); runtime.GOMAXPROCS(0) != n; {
		if time.Now().After(deadline) {
			t.Fatalf("GOMAXPROCS is %d instead of %d", runtime.GOMAXPROCS(0), n)
		}
		f()
		runtime.Gosched()
	}
}

func TestALoopThatSharesGivesItsPBack(t *testing.T) {
	defer runtime.SetDefaultGOMAXPROCS()
	runtime.GOMAXPROCS(1)
	var l Loop
	l.Open(false)
	await(t, 2, func() {})
	l.Share()
	l.Share()
	await(t, 1, func() {})
	l.Close()
	l.Open(false)
	if n := runtime.GOMAXPROCS(0); n != 1 {
		t.Errorf("GOMAXPROCS is %d when the loop is opened again", n)
	}
	l.Close()
	process.mu.Lock()
	defer process.mu.Unlock()
	if process.loops != 0 || process.shared != 0 {
		t.Errorf("%d loops and %d that share are left", process.loops, process.shared)
	}
}

func TestALoopWithoutCompanyLeavesTheProcessAlone(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(4)
	defer runtime.GOMAXPROCS(before)
	for _, n := range []int{1, 2, 3} {
		l := &Loop{}
		l.Open(false)
		defer l.Close()
		if got := runtime.GOMAXPROCS(0); got != 4 {
			t.Errorf("GOMAXPROCS is %d with %d loops", got, n)
		}
	}
}

func TestUpdatesCanBeOff(t *testing.T) {
	for _, c := range []struct {
		built, env string
		off        bool
	}{
		{"", "", false}, {"updatemaxprocs=0", "", true}, {"", "a=1,updatemaxprocs=0", true},
		{"updatemaxprocs=0", "updatemaxprocs=1,b=2", false}, {"madvdontneed=0", "", false},
		{"updatemaxprocs=0,x=1", "x=2", true},
	} {
		if off := updatesAreOff(c.built, c.env); off != c.off {
			t.Errorf("built with %q, GODEBUG=%q: off %v", c.built, c.env, off)
		}
	}
}

func TestTheEnvironmentFixesTheNumber(t *testing.T) {
	for _, c := range []struct {
		procs, debug string
		fixed        bool
	}{{"3", "", true}, {"4", "", false}, {"many", "", false}, {"", "", false},
		{"", "updatemaxprocs=0", true}} {
		t.Setenv("GOMAXPROCS", c.procs)
		t.Setenv("GODEBUG", c.debug)
		if got := (goRuntime{}).fixed(3); got != c.fixed {
			t.Errorf("GOMAXPROCS=%s GODEBUG=%s: %v", c.procs, c.debug, got)
		}
	}
}
