package fdio

import (
	"slices"

	"github.com/sluice-net/sluice/protocol"
)

// The part of receiving that all kinds share. A receive that is in flight when the
// protocol pauses goes on: what it delivers is held back, in order, and ends it, so that
// no more is held than was already on its way.

// An arrival is a completion that was held back.
type arrival struct {
	received       // data is a copy; nil: see the kind
	res      int32 // of the operation: a count, 0 or a negated errno
}

// readable reports whether anything may be passed to the protocol.
func (e *endpoint) readable() bool { return e.state == Open && !e.paused && !e.eof }

// holds reports whether what arrives now must wait.
func (e *endpoint) holds() bool { return e.paused || len(e.held) > 0 }

// hold keeps a completion for later and stops the receive.
func (e *endpoint) hold(a arrival) {
	e.held = append(e.held, a)
	e.publishHeld()
	e.engine.Cancel(&e.recv)
}

// holdRest keeps what a protocol that pauses midway has not taken, before all else.
func (e *endpoint) holdRest(a arrival) {
	e.held = slices.Insert(e.held, 0, a)
	e.publishHeld()
}

// endInput records that the peer has ended its output.
func (e *endpoint) endInput() {
	e.guard.Note("received EOF")
	e.eof = true
	e.pub.slot.EOFReceived()
}

// tellEOF tells the protocol, which decides whether the output stays open.
func (e *endpoint) tellEOF() {
	if keepOpen := e.guard.EOFReceived(); !keepOpen && e.state == Open {
		e.Close()
	}
}

// emptyBuffer ends the transport because GetBuffer has returned none.
func (e *endpoint) emptyBuffer() {
	e.guard.Report("Fatal error: protocol.get_buffer() call failed.", protocol.ErrEmptyBuffer)
	e.fail(protocol.ErrEmptyBuffer)
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
