package loop

import (
	"testing"
	"time"
)

func TestS383_ACancelledTimerLeavesTheHeap(t *testing.T) {
	l, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var hs []*TimerHandle
	for i := range 1000 {
		hs = append(hs, l.CallLater(time.Hour+time.Duration(i*7919%1000), func() {}))
	}
	for i, h := range hs {
		if i%10 != 0 {
			h.Cancel()
			h.Cancel()
		}
	}
	if n := len(l.timers.heap); n != 100 {
		t.Errorf("%d timers in the heap, 100 were not cancelled", n)
	}
	for i, h := range l.timers.heap {
		if h.index != i || h.Cancelled() {
			t.Errorf("timer %d has the index %d, cancelled %v", i, h.index, h.Cancelled())
		}
	}
	for _, h := range l.timers.heap[len(l.timers.heap):cap(l.timers.heap)] {
		if h != nil {
			t.Fatal("the heap keeps a timer that has left it")
		}
	}
}
