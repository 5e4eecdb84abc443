package schedule_test

import (
	"runtime"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
)

func TestALoopThatDoesNotRunLeavesGOMAXPROCSAlone(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	for range before + 1 {
		l, err := loop.New(&loop.Options{ReserveP: true})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	if n := runtime.GOMAXPROCS(0); n != before {
		t.Errorf("GOMAXPROCS is %d instead of %d", n, before)
	}
}

func TestSimulatedLoopsLeaveGOMAXPROCSAlone(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	for range before + 1 {
		looptest.New(t, looptest.Options{})
	}
	if n := runtime.GOMAXPROCS(0); n != before {
		t.Errorf("GOMAXPROCS is %d instead of %d", n, before)
	}
}

func TestReservePAddsAPForEachLoopThatHasBegun(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	var loops []*loop.Loop
	for range 2 {
		l, err := loop.New(&loop.Options{ReserveP: true})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- l.RunForever() }()
		looptest.Do(l, func() {})
		l.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		loops = append(loops, l)
	}
	if n := runtime.GOMAXPROCS(0); n != before+2 {
		t.Errorf("GOMAXPROCS is %d instead of %d and one for each loop", n, before)
	}
	for _, l := range loops {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	if n := runtime.GOMAXPROCS(0); n != before {
		t.Errorf("in the end GOMAXPROCS is %d instead of %d", n, before)
	}
}
