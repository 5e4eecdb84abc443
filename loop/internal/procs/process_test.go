package procs

import (
	"runtime"
	"testing"
	"time"
)

func TestTheProcessHasItsOldNumberInTheEnd(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	for range before {
		Open(false)
	}
	if n := runtime.GOMAXPROCS(0); n != before+1 {
		t.Errorf("GOMAXPROCS is %d with as many loops as there were Ps, %d", n, before)
	}
	look()
	for range before {
		Close(false)
	}
	if n := runtime.GOMAXPROCS(0); n != before {
		t.Errorf("GOMAXPROCS is %d instead of %d", n, before)
	}
}

func TestALookSeesWhatTheProgramHasSet(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.SetDefaultGOMAXPROCS()
	Open(false)
	runtime.GOMAXPROCS(before + 3)
	runtime.GOMAXPROCS(1)
	var y Yielder
	y.Start(0)
	y.Yield(lookEvery - 1)
	for deadline := time.Now().Add(20 * time.Second); runtime.GOMAXPROCS(0) != 2; {
		if time.Now().After(deadline) {
			t.Fatalf("GOMAXPROCS is %d, not 1 and one for the loop", runtime.GOMAXPROCS(0))
		}
		y.Yield(y.last + lookEvery)
		runtime.Gosched()
	}
	Close(false)
	if n := runtime.GOMAXPROCS(0); n != 1 {
		t.Errorf("GOMAXPROCS is %d instead of 1", n)
	}
}

func TestALoopWithoutCompanyLeavesTheProcessAlone(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(4)
	defer runtime.GOMAXPROCS(before)
	for _, n := range []int{1, 2, 3} {
		Open(false)
		defer Close(false)
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
