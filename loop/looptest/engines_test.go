package looptest_test

import (
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/internal/leaktest"
	"github.com/sluice-net/sluice/loop/looptest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestEnginesRunALoopThatRuns(t *testing.T) {
	ran := map[string]bool{}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		if !l.IsRunning() {
			t.Error("the loop does not run")
		}
		if !looptest.Do(l, func() { ran[l.Engine().String()] = true }) {
			t.Error("Do did not run its function")
		}
		before := l.Time()
		looptest.Pass(t, l, 10*time.Millisecond)
		if passed := l.Time() - before; passed < 10*time.Millisecond {
			t.Errorf("Pass of 10ms took %v", passed)
		}
	})
	if !ran["sim"] || len(ran) < 2 && testing.Verbose() {
		t.Logf("ran on %v", ran)
	}
	if !ran["sim"] {
		t.Error("the simulated engine was not run")
	}
}

// More than what WaitFor waits for.
func TestPassLetsAnHourPass(t *testing.T) {
	l := looptest.New(t, looptest.Options{}).Loop
	before := l.Time()
	looptest.Pass(t, l, time.Hour)
	if passed := l.Time() - before; passed < time.Hour {
		t.Errorf("Pass of an hour took %v", passed)
	}
}

func TestAnExpectedExceptionIsNotAFailure(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		looptest.Expect(l, "Exception in callback")
		looptest.Do(l, func() { l.CallSoon(func() { panic("planned") }) })
		looptest.WaitFor(t, l, "the report", func() bool {
			return len(looptest.Exceptions(l)) == 1
		})
	})
}

func TestDoOnClosedLoopReportsThatItDidNotRun(t *testing.T) {
	l, err := loop.New(&loop.Options{Engine: loop.Epoll})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if looptest.Do(l, func() { t.Error("ran") }) {
		t.Error("Do says that it ran its function")
	}
}
