package tlsio

import (
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// lower is a Transport as the transport below sees it.
type lower Transport

var _ protocol.Protocol = (*lower)(nil)

// Lower returns the protocol to give to the transport below: either from its
// beginning, or with SetProtocol followed by Attach.
func (t *Transport) Lower() protocol.Protocol { return (*lower)(t) }

// Over returns the TLS transport whose lower half is p, that is, the one stacked on
// the transport that has p as its protocol.
func Over(p transport.BaseProtocol) (*Transport, bool) {
	l, ok := p.(*lower)
	return (*Transport)(l), ok
}

// Attach starts the handshake over raw, whose protocol SetProtocol has set to
// Lower. Reading is resumed; writing may be paused.
func (t *Transport) Attach(raw transport.Transport) {
	paused := raw.WritePaused() // by the marks that the application knows of
	t.attach(raw)
	if paused {
		t.inheritPause()
	}
	raw.ResumeReading()
	t.begin()
}

// ConnectionMade starts the handshake over a new transport.
func (l *lower) ConnectionMade(raw transport.Transport) {
	t := (*Transport)(l)
	t.attach(raw)
	t.begin()
}

// attach makes raw the transport below. Its marks must be such that whenever the
// application is paused, so is the transport below, which then reports when it
// resumes.
func (t *Transport) attach(raw transport.Transport) {
	t.raw = raw
	t.rawPaused = raw.WritePaused()
	t.inherited = raw.WriteBufferSize()
	t.tune()
}

// DataReceived implements protocol.Protocol.
func (l *lower) DataReceived(data []byte) { (*Transport)(l).feed(data) }

// EOFReceived implements protocol.Protocol. The transport below is kept open if
// possible, for our own close_notify and what was written before it.
func (l *lower) EOFReceived() (keepOpen bool) {
	t := (*Transport)(l)
	t.bio.eof = true
	t.digestHeld()
	return t.raw.CanWriteEOF()
}

// PauseWriting implements transport.BaseProtocol.
func (l *lower) PauseWriting() { l.rawPaused = true }

// ResumeWriting implements transport.BaseProtocol.
func (l *lower) ResumeWriting() {
	t := (*Transport)(l)
	t.rawPaused = false
	t.drain()
	t.settle()
	t.flushed()
}

// ConnectionLost implements transport.BaseProtocol.
func (l *lower) ConnectionLost(err error) { (*Transport)(l).finish(err) }
