package tlsio

import (
	"time"

	"github.com/sluice-net/sluice/loop/internal/guard"
	"github.com/sluice-net/sluice/transport"
)

// lingerTime bounds how long it may take to send an alert, which says why a
// connection ends.
const lingerTime = DefaultShutdownTimeout

// Close implements transport.BaseTransport. It sends what was written, then
// close_notify, and then waits for the peer's. During the handshake it aborts.
func (t *Transport) Close() error {
	t.host.Check()
	switch t.state {
	case handshaking:
		t.lose(nil)
	case open:
		t.leave()
	}
	return nil
}

// leave starts to close.
func (t *Transport) leave() {
	t.move(closing)
	t.lent = nil
	if d := t.config.CloseTimeout; d > 0 {
		t.close = t.host.After(d, func() { t.lose(transport.ErrCloseTimeout) })
	}
	t.raw.ResumeReading()
	t.schedule() // to look for the peer's close_notify in the held input
	t.shut()
}

// shut sends close_notify when all plaintext has been encrypted.
func (t *Transport) shut() {
	if t.state != closing || !t.backlog.empty() {
		return
	}
	t.move(notified)
	_ = t.conn.CloseWrite() // its errors are those of the transport below
	if t.peerDone {
		t.raw.Close()
		return
	}
	if t.raw.CanWriteEOF() {
		_ = t.raw.WriteEOF() // the peer may be gone, which reading will show
	}
	t.lowMarksSet = true
	_ = t.raw.SetWriteBufferLimits(transport.Limits{})
	t.flushed()
}

// flushed starts to wait for the peer's close_notify once ours has been sent. The
// time that sending takes is not the peer's fault alone; CloseTimeout bounds it.
func (t *Transport) flushed() {
	if t.state != notified || t.rawPaused || t.emptied || t.peerDone {
		return
	}
	t.emptied = true
	wait, err := t.config.ShutdownTimeout, transport.ErrShutdownTimeout
	if wait == 0 {
		wait, err = DefaultShutdownTimeout, nil
	}
	t.timer = t.host.After(wait, func() { t.lose(err) })
}

// answered handles the end of the peer's output: nothing is waited for any more.
func (t *Transport) answered() {
	t.peerDone = true
	if t.state == notified {
		t.raw.Close()
	}
}

// HandOver passes the limits that concern the protocol's own output on to a
// transport that is stacked on top of this one, and clears them.
func (t *Transport) HandOver() (writeCap int, closeTimeout time.Duration) {
	writeCap, closeTimeout = t.config.WriteCap, t.config.CloseTimeout
	t.config.WriteCap, t.config.CloseTimeout = 0, 0
	return writeCap, closeTimeout
}

// Uncap removes the cap on what is buffered.
func (t *Transport) Uncap() { t.config.WriteCap = 0 }

// Abort implements transport.WriteTransport.
func (t *Transport) Abort() {
	t.host.Check()
	t.lose(nil)
}

// lose ends the connection at once. The first reason wins. An alert that has not
// been sent yet is dropped.
func (t *Transport) lose(err error) {
	switch {
	case t.state < lost:
		t.part(err)
		t.raw.Abort()
	case t.state == lost:
		t.raw.Abort()
	}
}

// fail ends the connection because of err, but first sends the alert in which
// crypto/tls may have told the peer why.
func (t *Transport) fail(err error) {
	if t.state >= lost {
		return
	}
	t.part(err)
	t.raw.Close()
	t.timer = t.host.After(lingerTime, t.raw.Abort)
}

// part drops everything.
func (t *Transport) part(err error) {
	t.move(lost)
	t.err = err
	t.stopTimers()
	t.guard.Releases = t.backlog.drop(t.host, t.guard.Releases)
	t.held, t.lent = nil, nil
	if s := t.negotiation; s != nil && !s.running {
		s.stop()
		t.negotiation = nil
	}
	if len(t.guard.Releases) > 0 {
		t.schedule()
	}
}

func (t *Transport) stopTimers() {
	if t.negotiation != nil {
		t.negotiation.timer.Cancel()
	}
	for _, timer := range [...]guard.Timer{t.timer, t.close} {
		if timer != nil {
			timer.Cancel()
		}
	}
}

// finish handles ConnectionLost of the transport below.
func (t *Transport) finish(err error) {
	if t.state < lost {
		if t.state == handshaking && err == nil {
			err = transport.ErrClosed
		}
		if t.emptied {
			err = nil // everything was sent; how the peer then ends it says nothing
		}
		t.part(err)
	}
	t.stopTimers()
	t.guard.RunReleases()
	t.move(gone)
	err = t.err
	if t.made {
		t.guard.ConnectionLost(err)
	}
	t.guard.Forget()
	if err == nil {
		err = transport.ErrClosed
	}
	t.done(err)
}
