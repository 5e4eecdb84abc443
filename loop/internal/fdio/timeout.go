package fdio

import (
	"time"

	"github.com/sluice-net/sluice/transport"
)

// extras holds what only few transports need.
type extras struct {
	info         map[string]any
	writeCap     int
	idleTimeout  time.Duration
	closeTimeout time.Duration
	closeTimer   Timer
	idleTimer    Timer
	active       bool    // since the idle timer last looked
	sentFile     bool    // sendfile(2) or splice(2) was called
	splice       *Splice // what is received goes there; nil: to the protocol
}

// needExtras makes the extras of a transport that had no need of them so far.
func (e *endpoint) needExtras() *extras {
	if e.extras == nil {
		e.extras = &extras{}
	}
	return e.extras
}

// touch records that the connection is alive.
func (e *endpoint) touch() {
	if e.extras != nil {
		e.extras.active = true
	}
}

// watchIdle starts the idle timer if one was asked for. Once per timeout it checks
// whether any data has moved since its last check, so that traffic costs nothing; an idle
// connection ends after one to two timeouts.
func (e *endpoint) watchIdle() {
	x := e.extras
	if x == nil || x.idleTimeout <= 0 {
		return
	}
	x.active = false
	x.idleTimer = e.host.After(x.idleTimeout, func() {
		if x.active {
			e.watchIdle()
			return
		}
		e.fail(transport.ErrIdleTimeout)
	})
}

// watchClose limits the time that a closing transport may take to flush.
func (e *endpoint) watchClose() {
	x := e.extras
	if x == nil || x.closeTimeout <= 0 {
		return
	}
	x.closeTimer = e.host.After(x.closeTimeout, func() { e.fail(transport.ErrCloseTimeout) })
}

// Uncap takes away the cap on what is buffered: who writes from now on has one of its own.
func (e *endpoint) Uncap() {
	if e.extras != nil {
		e.extras.writeCap = 0
	}
}

// HandOver gives the limits that concern the protocol's own output to a transport
// that is put on top of this one, and forgets them.
func (e *endpoint) HandOver() (writeCap int, closeTimeout time.Duration) {
	x := e.extras
	if x == nil {
		return 0, 0
	}
	writeCap, closeTimeout = x.writeCap, x.closeTimeout
	x.writeCap, x.closeTimeout = 0, 0
	return writeCap, closeTimeout
}

func (e *endpoint) stopTimers() {
	if e.extras == nil {
		return
	}
	for _, t := range []Timer{e.extras.idleTimer, e.extras.closeTimer} {
		if t != nil {
			t.Cancel()
		}
	}
}
