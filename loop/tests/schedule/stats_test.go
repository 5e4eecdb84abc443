package schedule_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
)

// readUntil reads the counts from the test's goroutine until they are as ok says. It asks
// the loop for nothing, so the loop may sleep.
func readUntil(t *testing.T, l *loop.Loop, what string, ok func(s loop.Stats) bool) {
	t.Helper()
	for end := time.Now().Add(looptest.WaitTimeout); !ok(l.Stats()); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("no %s in %+v", what, l.Stats())
		}
	}
}

// later reports whether s was counted no earlier than before.
func later(s, before loop.Stats) bool {
	return s.Turns >= before.Turns && s.Syscalls >= before.Syscalls &&
		s.Operations >= before.Operations && s.Completions >= before.Completions
}

// Two transports send a message to and fro for a thousand times, and four goroutines read
// the counts meanwhile.
func TestStatsAreReadWhileTrafficFlows(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		left, done := rig.Amount(1000), make(chan struct{})
		looptest.Do(l, func() {
			server.On.Data = func(data []byte) { server.Transport().Write(data) }
			client.On.Data = func(data []byte) {
				if left--; left == 0 {
					close(done)
				} else if left > 0 {
					client.Transport().Write(data)
				}
			}
			client.Transport().Write([]byte("x"))
		})
		var stop atomic.Bool
		var readers sync.WaitGroup
		for range 4 {
			readers.Go(func() {
				var last loop.Stats
				for !stop.Load() {
					s := l.Stats()
					if s.Engine != l.Engine() || !later(s, last) {
						t.Errorf("%+v after %+v", s, last)
						return
					}
					last = s
					runtime.Gosched()
				}
			})
		}
		<-done
		stop.Store(true)
		readers.Wait()
		var live loop.Stats
		looptest.Do(l, func() { live = l.Stats() })
		readUntil(t, l, "traffic", func(s loop.Stats) bool { return later(s, live) })
	})
}

// Nothing wakes the loop between its last event and the reading.
func TestStatsOfALoopThatSleepsAreComplete(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		readUntil(t, l, "pair", func(s loop.Stats) bool { return s.Transports == 2 })
		looptest.Do(l, func() {
			server.Transport().Abort()
			client.Transport().Abort()
		})
		readUntil(t, l, "end", func(s loop.Stats) bool { return s.Transports == 0 })
	})
}

func TestStatsOfALoopThatDoesNotRun(t *testing.T) {
	l := idle(t)
	if s := l.Stats(); s != (loop.Stats{Engine: l.Engine(), BuffersInUse: s.BuffersInUse,
		Syscalls: s.Syscalls}) {
		t.Errorf("a new loop has counted %+v", s)
	}
	var live loop.Stats
	err := l.RunUntilComplete(t.Context(), func(context.Context) error {
		looptest.Do(l, func() { live = l.Stats() })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ran := l.Stats()
	if ran.Turns == 0 || !later(ran, live) {
		t.Errorf("%+v after the run, in which they were %+v", ran, live)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if s := l.Stats(); !later(s, ran) || s.Transports != 0 || s.BuffersInUse != 0 {
		t.Errorf("%+v after Close, %+v before", s, ran)
	}
}
