package fdio

import "github.com/sluice-net/sluice/transport"

// The part of sending that all kinds share: the water marks, and lazy sends.

// grew counts n bytes that were queued and pauses the protocol if they are too many.
func (e *endpoint) grew(n int) {
	change := e.flow.Grew(n)
	e.pub.slot.SetBuffered(e.flow.Size())
	if change == transport.Pause {
		e.pauseWriting()
	}
}

// shrank subtracts what is no longer queued.
func (e *endpoint) shrank(n int) {
	change := e.flow.Shrank(n)
	e.pub.slot.SetBuffered(e.flow.Size())
	if change == transport.Resume {
		e.resumeWriting()
	}
}

// pauseWriting asks the protocol to stop writing for now.
func (e *endpoint) pauseWriting() {
	e.pub.page.PauseWriting(e.pub.slot)
	e.host.Paused(e.self, e.flow.Size(), e.flow.Limits())
	e.guard.PauseWriting()
}

// resumeWriting lets the protocol go on.
func (e *endpoint) resumeWriting() {
	e.pub.page.ResumeWriting(e.pub.slot)
	e.host.Resumed(e.self, e.flow.Size(), e.flow.Limits())
	e.guard.ResumeWriting()
}

// refusal returns the reason why n bytes may not be written, or nil. A write after
// WriteEOF is a programming error and is checked first, as in asyncio.
func (e *endpoint) refusal(n int) error {
	switch {
	case e.eofAsked:
		return transport.ErrEOFWritten
	case e.state > Open:
		return transport.ErrClosed
	case e.full(n):
		return transport.ErrBufferFull
	}
	return nil
}

// full reports whether the cap on what is buffered leaves no room for n bytes more.
func (e *endpoint) full(n int) bool {
	return e.extras != nil && e.extras.writeCap > 0 && n > e.extras.writeCap-e.flow.Size()
}

// markDirty schedules Flush for the end of the round, or for when the send in flight has
// ended.
func (e *endpoint) markDirty() {
	switch {
	case e.send.InFlight():
		e.awaitSend()
	case !e.dirty:
		e.dirty = true
		e.host.Dirty(e.self)
	}
}

// writeFailed ends the transport because of an error of a send.
func (e *endpoint) writeFailed(err error) {
	e.guard.Note("Fatal write error on "+e.self.what()+" transport", "err", err)
	e.fail(err)
}

// awaitSend is called when somebody begins to wait for the send in flight. The completion
// of a lazy send that has not been handed to the kernel yet might not be reported until
// something else happens, so awaitSend asks for another round at once.
func (e *endpoint) awaitSend() {
	if e.send.InFlight() && e.send.Lazy && !e.awaited {
		e.awaited = true
		e.schedule()
	}
}

// afterSend goes on writing, or does what had to wait until the queue was empty. The
// protocol may have written, closed or aborted since.
func (e *endpoint) afterSend() {
	switch {
	case e.state >= Lost:
	case !e.self.drained():
		e.markDirty()
	case e.state == Closing:
		e.fail(nil)
	case e.eofAsked:
		e.sendEOF()
	}
}

// sendEOF sends FIN. An error is returned to the caller, if there is one: the peer may be
// gone already, which a receive will report.
func (e *endpoint) sendEOF() error {
	if e.eofSent {
		return nil
	}
	e.eofSent = true
	return e.engine.ShutdownWrite(e.recv.FD)
}

// WriteBufferSize implements transport.WriteTransport.
func (e *endpoint) WriteBufferSize() int {
	if e.state >= Lost {
		return 0
	}
	return e.flow.Size()
}

// WriteBufferLimits implements transport.WriteTransport.
func (e *endpoint) WriteBufferLimits() transport.Limits { return e.flow.Limits() }

// SetWriteBufferLimits implements transport.WriteTransport.
func (e *endpoint) SetWriteBufferLimits(l transport.Limits) error {
	e.host.Check()
	change, err := e.flow.SetLimits(l)
	l = e.flow.Limits()
	e.pub.slot.SetLimits(l.High, l.Low)
	if e.state >= Lost {
		return err
	}
	if change == transport.Pause {
		e.awaitSend()
		e.pauseWriting()
	}
	if e.flow.Paused() && e.flow.Size() <= e.flow.Limits().Low {
		e.schedule() // to resume
	}
	return err
}

// WritePaused implements transport.WriteTransport.
func (e *endpoint) WritePaused() bool { return e.state < Closed && e.flow.Paused() }

// lessTaken returns how many of n bytes that are being queued are left, after the kernel
// has taken some of them and of those that were queued before. It cannot resume a
// protocol: the kernel is offered output early only while the protocol is not paused.
func (e *endpoint) lessTaken(n, taken int) int {
	old := min(taken, e.flow.Size())
	e.flow.Shrank(old)
	return n - (taken - old)
}
