package fdio

import "slices"

// The part of receiving that all kinds share. A receive that is in flight when the
// protocol pauses goes on: what it delivers is held back, in order, and ends it, so that
// no more is held than was already on its way.

// An arrival is a completion that is delivered, or was held back.
type arrival struct {
	received       // no data: see the kind
	res      int32 // of the operation: a count, 0 or a negated errno
	owned    bool  // data is a copy
}

// kept returns a that owns its data.
func (a arrival) kept() arrival {
	if len(a.data) > 0 && !a.owned {
		a.data, a.owned = append([]byte(nil), a.data...), true
	}
	return a
}

// readable reports whether anything may be passed to the protocol.
func (e *endpoint) readable() bool { return e.state == Open && !e.paused && !e.eof }

func (e *endpoint) arm() {
	if e.readable() && !e.recv.InFlight() && len(e.held) == 0 {
		e.engine.Submit(&e.recv)
	}
}

// holds reports whether what arrives now must wait.
func (e *endpoint) holds() bool { return e.paused || len(e.held) > 0 }

// hold keeps a completion for later and stops the receive.
func (e *endpoint) hold(a arrival) {
	e.held = append(e.held, a.kept())
	e.publishHeld()
	e.engine.Cancel(&e.recv)
}

// holdRest keeps what a protocol that pauses midway has not taken, before all else.
func (e *endpoint) holdRest(a arrival) {
	a.res = int32(len(a.data))
	e.held = slices.Insert(e.held, 0, a.kept())
	e.publishHeld()
}

// endInput records that the peer has ended its output.
func (e *endpoint) endInput() {
	e.guard.Note("received EOF")
	e.eof = true
	e.pub.slot.EOFReceived()
}

// readFailed ends the transport because of an error of a receive.
func (e *endpoint) readFailed(err error) {
	e.guard.Note("Fatal read error on "+e.self.what()+" transport", "err", err)
	e.fail(err)
}

// dropHeld drops what was held back, which is no longer delivered. An error is kept: it
// may be why a write fails.
func (e *endpoint) dropHeld() {
	e.held = slices.DeleteFunc(e.held, func(a arrival) bool { return a.res >= 0 })
	e.publishHeld()
}

// deliverHeld passes on what was held back, one at a time: any of them may lead
// to a pause. It runs as a task, never from inside ResumeReading.
func (e *endpoint) deliverHeld() {
	for len(e.held) > 0 && e.readable() {
		a := e.held[0]
		e.held = e.held[1:]
		e.publishHeld()
		e.self.deliver(a)
	}
	if len(e.held) == 0 {
		e.held = nil
	}
	e.self.arm()
}

// IsReading implements transport.ReadTransport.
func (e *endpoint) IsReading() bool { return e.state <= Open && !e.paused && !e.eof }

// PauseReading implements transport.ReadTransport. A receive in flight goes on; what it
// delivers is held back and ends it.
func (e *endpoint) PauseReading() {
	e.host.Check()
	if e.state > Open || e.paused {
		return
	}
	e.guard.Note("pauses reading")
	e.paused = true
	e.pub.page.PauseReading(e.pub.slot)
}

// ResumeReading implements transport.ReadTransport.
func (e *endpoint) ResumeReading() {
	e.host.Check()
	if e.state > Open || !e.paused {
		return
	}
	e.guard.Note("resumes reading")
	e.paused = false
	e.pub.page.ResumeReading(e.pub.slot)
	if e.state == Open && (len(e.held) > 0 || !e.recv.InFlight()) {
		e.schedule()
	}
}
