package schedule_test

import (
	"sync"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
)

// No timer is set, so nothing but the post ends the loop's sleep.
func TestS395_APostWakesALoopThatSleeps(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		for range 100 {
			ran := make(chan struct{})
			l.CallSoonThreadsafe(func() { close(ran) })
			select {
			case <-ran:
			case <-time.After(looptest.WaitTimeout):
				t.Fatal("the loop sleeps on")
			}
		}
	})
}

// The loop is busy with another callback while the function is posted and cancelled.
func TestS396_ACancelBeforeTheRunKeepsItFromRunning(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		busy, goOn := make(chan struct{}), make(chan struct{})
		l.CallSoonThreadsafe(func() {
			close(busy)
			<-goOn
		})
		<-busy
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range 100 {
					h := l.CallSoonThreadsafe(func() { t.Error("a cancelled function ran") })
					h.Cancel()
					if !h.Cancelled() {
						t.Error("Cancel came too late although the loop was busy")
					}
				}
			})
		}
		all.Wait()
		close(goOn)
		looptest.Turns(l, 2)
	})
}

func TestS397_ManyPostsCostFewWakeups(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		busy, goOn := make(chan struct{}), make(chan struct{})
		before, ran := uint64(0), 0
		l.CallSoonThreadsafe(func() {
			before = l.Stats().Wakes
			close(busy)
			<-goOn
		})
		<-busy
		const posts = 1000
		for range posts {
			l.CallSoonThreadsafe(func() { ran++ })
		}
		close(goOn)
		looptest.Do(l, func() {
			if wakes := l.Stats().Wakes - before; wakes > 3 || ran != posts {
				t.Errorf("%d wakeups for %d posts, of which %d ran", wakes, posts, ran)
			}
		})
	})
}

func TestS397_APostAfterCloseIsIgnored(t *testing.T) {
	l := idle(t)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if h := l.CallSoonThreadsafe(func() { t.Error("ran") }); !h.Cancelled() {
			t.Error("a post after Close is not cancelled")
		}
	}
}
