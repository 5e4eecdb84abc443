package fdio

import "github.com/sluice-net/sluice/transport"

// What sending has in common: the water marks, and the send that is lazy.

// grew counts n bytes that were queued and pauses the protocol if they are too many.
func (e *endpoint) grew(n int) {
	change := e.flow.Grew(n)
	e.pub.slot.SetBuffered(e.flow.Size())
	if change == transport.Pause {
		e.pauseWriting()
	}
}

// shrank uncounts what is not queued any more.
func (e *endpoint) shrank(n int) {
	change := e.flow.Shrank(n)
	e.pub.slot.SetBuffered(e.flow.Size())
	if change == transport.Resume {
		e.resumeWriting()
	}
}

// pauseWriting has the protocol write no more for now.
func (e *endpoint) pauseWriting() {
	e.pub.page.PauseWriting(e.pub.slot)
	e.host.Paused(e.self, e.flow.Size(), e.flow.Limits())
	e.guard.PauseWriting()
}

// resumeWriting has it go on.
func (e *endpoint) resumeWriting() {
	e.pub.page.ResumeWriting(e.pub.slot)
	e.host.Resumed(e.self, e.flow.Size(), e.flow.Limits())
	e.guard.ResumeWriting()
}

// full reports whether the cap on what is buffered leaves no room for n bytes more.
func (e *endpoint) full(n int) bool {
	return e.extras != nil && e.extras.writeCap > 0 && n > e.extras.writeCap-e.flow.Size()
}

// markDirty has Flush called at the end of the round, or when the send in flight has
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

// awaitSend is called when somebody begins to wait for the send in flight. A lazy one
// that was not handed to the kernel before may not be told of until something
// happens, so there is another round at once.
func (e *endpoint) awaitSend() {
	if e.send.InFlight() && e.send.Lazy && !e.awaited {
		e.awaited = true
		e.schedule()
	}
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
