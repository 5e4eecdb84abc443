package simio

import (
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

func TestWaitJumpsToTheTimeout(t *testing.T) {
	r := newRig(t, Options{})
	start := time.Now()
	r.turn(24 * time.Hour)
	if r.Now() != 24*time.Hour {
		t.Errorf("it is %v", r.Now())
	}
	if passed := time.Since(start); passed > 10*time.Second {
		t.Errorf("a virtual day took %v", passed)
	}
	r.tidy()
}

func TestWaitJumpsToTheNextEvent(t *testing.T) {
	r := newRig(t, Options{})
	var at []time.Duration
	op := instant(func(*proactor.Op) { at = append(at, r.Now()) })
	r.After(2*time.Hour, func() { at = append(at, r.Now()) })
	r.After(time.Hour, func() {
		at = append(at, r.Now())
		r.Submit(op)
		r.Wake()
	})
	for len(at) < 3 {
		r.turn(-1)
	}
	want := []time.Duration{time.Hour, time.Hour, 2 * time.Hour}
	for i := range want {
		if late := at[i] - want[i]; late < 0 || late > time.Millisecond {
			t.Errorf("event %d at %v, want %v", i, at[i], want[i])
		}
	}
	r.tidy()
}

func TestIdleIsCalledInADeadlockAndWakeEndsTheWait(t *testing.T) {
	idle := 0
	var r *rig
	r = newRig(t, Options{Idle: func() {
		idle++
		r.Wake()
	}})
	r.turn(-1)
	if idle != 1 || r.Now() != 0 {
		t.Errorf("idle %d times, at %v", idle, r.Now())
	}
	r.tidy()
}

func TestWaitBlocksUntilAnotherGoroutineDoesSomething(t *testing.T) {
	blocked := make(chan struct{}, 4)
	r := newRig(t, Options{Idle: func() { blocked <- struct{}{} }})
	fd, p := r.PeerPair()
	op := &proactor.Op{Code: proactor.Recv, FD: fd, Buf: make([]byte, 8), Handler: ignore}
	r.Submit(op)
	done := make(chan struct{})
	go func() {
		defer close(done)
		<-blocked
		p.Send([]byte("hello"))
		<-blocked
		r.Wake()
	}()
	for op.InFlight() {
		r.turn(-1)
	}
	if op.Res != 5 {
		t.Errorf("received %d", op.Res)
	}
	r.turn(-1)
	<-done
	r.must(r.CloseFD(fd))
	r.tidy()
}

func TestLazySendDoesNotEndAWait(t *testing.T) {
	held := false
	for seed := range uint64(8) {
		r := newRig(t, Options{Seed: seed})
		fd, p := r.PeerPair()
		var at time.Duration
		op := &proactor.Op{Code: proactor.Send, Lazy: true, FD: fd, Buf: []byte("x")}
		op.Handler = ops(func(*proactor.Op) { at = r.Now() })
		r.Submit(op)
		r.turn(time.Second)
		held = held || at == time.Second+turnCost
		if op.InFlight() || string(p.Received()) != "x" {
			t.Errorf("in flight %v, received %q", op.InFlight(), p.Received())
		}
		r.must(r.CloseFD(fd))
		r.tidy()
	}
	if !held {
		t.Error("no seed held the completion back")
	}
}

func TestLazySendCompletesBeforeWhatHappenedLater(t *testing.T) {
	for seed := range uint64(16) {
		r := newRig(t, Options{Seed: seed, Faults: Faults{Reorder: 1}})
		fd, _ := r.PeerPair()
		var order []proactor.Code
		note := ops(func(op *proactor.Op) { order = append(order, op.Code) })
		for range 3 {
			send := &proactor.Op{Code: proactor.Send, Lazy: true, FD: fd, Buf: []byte("x")}
			send.Handler = note
			r.Submit(send)
			r.do(instant(note))
		}
		for i, code := range order {
			if want := [2]proactor.Code{proactor.Send, proactor.Poll}[i%2]; code != want {
				t.Errorf("seed %d: order %v", seed, order)
				break
			}
		}
		r.must(r.CloseFD(fd))
		r.tidy()
	}
}
