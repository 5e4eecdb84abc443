package fdio

import (
	"time"

	"github.com/sluice-net/sluice/transport"
)

// touch notes that the connection is alive.
func (s *Stream) touch() {
	if s.extras != nil {
		s.extras.active = true
	}
}

// watchIdle starts the idle timer where one was asked for. It looks once a
// timeout whether anything moved since it last looked, so that traffic costs
// nothing; an idle connection ends after one to two timeouts.
func (s *Stream) watchIdle() {
	e := s.extras
	if e == nil || e.idleTimeout <= 0 {
		return
	}
	e.active = false
	e.idleTimer = s.host.After(e.idleTimeout, func() {
		if e.active {
			s.watchIdle()
			return
		}
		s.fail(transport.ErrIdleTimeout)
	})
}

// watchClose bounds the time that a closing stream may take to flush.
func (s *Stream) watchClose() {
	e := s.extras
	if e == nil || e.closeTimeout <= 0 {
		return
	}
	e.closeTimer = s.host.After(e.closeTimeout, func() { s.fail(transport.ErrCloseTimeout) })
}

// HandOver gives the limits that concern the protocol's own output to a transport
// that is put on top of this one, and forgets them.
func (s *Stream) HandOver() (writeCap int, closeTimeout time.Duration) {
	e := s.extras
	if e == nil {
		return 0, 0
	}
	writeCap, closeTimeout = e.writeCap, e.closeTimeout
	e.writeCap, e.closeTimeout = 0, 0
	return writeCap, closeTimeout
}

func (s *Stream) stopTimers() {
	if s.extras == nil {
		return
	}
	for _, t := range []Timer{s.extras.idleTimer, s.extras.closeTimer} {
		if t != nil {
			t.Cancel()
		}
	}
}
