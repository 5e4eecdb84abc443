package iouring

import (
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// The waker needs an SQE like everybody else. Where the queue is full when it has to be
// armed again, it must be armed all the same before the loop sleeps.
func TestALoopIsWokenThoughTheQueueWasFullWhenItWasWokenBefore(t *testing.T) {
	e, ours, _ := lazyRigWith(t, proactor.Config{Entries: 1})
	for range 3 {
		woken := make(chan struct{})
		go func() {
			defer close(woken)
			e.Wake()
		}()
		e.Submit(&proactor.Op{Code: proactor.Send, FD: ours, Buf: []byte("x"),
			Handler: &counter{}})
		e.wakerDue = true // as if its SQE had found no room
		if e.ring.Space() != 0 {
			t.Fatal("the queue has room")
		}
		if err := e.Wait(0); err != nil {
			t.Fatal(err)
		}
		<-woken
		if e.wakerDue {
			t.Fatal("the waker is not armed after the turn")
		}
	}
	end := time.Now().Add(30 * time.Second)
	timer := time.AfterFunc(20*time.Millisecond, e.Wake)
	defer timer.Stop()
	if err := e.Wait(30 * time.Second); err != nil {
		t.Fatal(err)
	}
	if time.Now().After(end) {
		t.Error("nobody woke the loop")
	}
}
