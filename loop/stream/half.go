package stream

import (
	"sync"
	"time"
)

// A half is what reading, writing and accepting have in common: at most one goroutine
// that waits, and its deadline.
//
//	running --wait--> parked --wake | the deadline--> running
//
// Its methods are called with mu held.
type half struct {
	mu     *sync.Mutex
	parked bool
	woken  chan struct{} // has room for one; made by the first wait
	at     time.Time     // the deadline, zero for none

	// The timer is set by the goroutine that waits, and left alone if it fires early
	// enough: a caller that moves the deadline for each message does not touch it.
	timer *time.Timer
	armed bool
	until time.Time // when it fires
}

// wait returns when wake has been called or the deadline has passed. It releases mu
// meanwhile. The caller must check again everything that it depends on.
func (h *half) wait() {
	h.arm()
	h.park()
}

// park is wait without regard to the deadline.
func (h *half) park() {
	if h.woken == nil {
		h.woken = make(chan struct{}, 1)
	}
	h.parked = true
	h.mu.Unlock()
	<-h.woken
	h.mu.Lock()
}

// wake ends the wait. It reports whether a goroutine was waiting.
func (h *half) wake() bool {
	if !h.parked {
		return false
	}
	h.parked = false
	h.woken <- struct{}{}
	return true
}

// expired reports whether the deadline has passed.
func (h *half) expired() bool { return !h.at.IsZero() && time.Until(h.at) <= 0 }

// setDeadline moves the deadline, also for a goroutine that is already waiting.
func (h *half) setDeadline(t time.Time) {
	h.at = t
	switch {
	case !h.parked:
	case h.expired():
		h.wake()
	default:
		h.arm()
	}
}

// arm sets the timer unless it fires no later than it must.
func (h *half) arm() {
	if h.at.IsZero() || h.armed && !h.until.After(h.at) {
		return
	}
	h.armed, h.until = true, h.at
	if h.timer == nil {
		h.timer = time.AfterFunc(time.Until(h.at), h.fire)
	} else {
		h.timer.Reset(time.Until(h.at))
	}
}

// fire is called by the timer.
func (h *half) fire() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.armed = false
	switch {
	case !h.parked:
	case h.expired():
		h.wake()
	default:
		h.arm()
	}
}

// stop ends the timer and the wait.
func (h *half) stop() {
	if h.timer != nil {
		h.timer.Stop()
		h.armed = false
	}
	h.wake()
}
