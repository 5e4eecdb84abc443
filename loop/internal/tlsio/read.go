package tlsio

import (
	"errors"
	"fmt"
	"io"

	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// joinedMax is the maximum amount of plaintext in one DataReceived.
const joinedMax = 4 * recordMax

// feed handles ciphertext, which belongs to the transport below.
func (t *Transport) feed(data []byte) {
	if t.state >= lost {
		return
	}
	if len(t.held) > 0 || t.state == open && t.paused {
		t.hold(data)
		return
	}
	t.bio.in = data
	t.digest()
	if len(t.bio.in) > 0 {
		t.hold(t.bio.in)
	}
	t.bio.in = nil
}

// hold keeps a copy of ciphertext for later.
func (t *Transport) hold(data []byte) {
	if t.state >= lost {
		return
	}
	t.held = append(t.held, data...)
	t.regulate()
}

// digestHeld processes what was held back, as far as is allowed.
func (t *Transport) digestHeld() {
	if t.state == open && t.paused {
		return
	}
	t.bio.in, t.held = t.held, nil
	t.digest()
	if len(t.bio.in) > 0 && t.state < lost {
		t.held = t.bio.in
	}
	t.bio.in = nil
}

// digest processes the bytes at hand as the state requires.
func (t *Transport) digest() {
	if t.state == handshaking && t.negotiation != nil {
		t.step()
	}
	switch t.state {
	case open:
		for t.readable() && t.receive() {
		}
	case closing, notified:
		t.discard()
	}
}

// readable reports whether bytes may be passed to the protocol. They may not if the
// transport below has failed: it is then closing as well, and ConnectionLost
// follows.
func (t *Transport) readable() bool {
	return t.state == open && !t.paused && !t.eof && !t.raw.IsClosing()
}

// receive passes plaintext to the protocol, whatever its kind. It reports whether
// there may be more.
func (t *Transport) receive() (more bool) {
	if t.guard.Buffered() {
		return t.receiveInto()
	}
	lent := t.host.Buffer(t.plaintextMax())
	buf := lent[:cap(lent)]
	n := t.unpeek(buf)
	m, err := t.fill(buf[n:])
	if n += m; n > 0 && !t.IsClosing() { // a session cache may close
		t.guard.DataReceived(buf[:n])
		t.guard.Poison(buf[:n])
	}
	t.host.Free(lent)
	return t.goOn(err)
}

// plaintextMax returns the maximum amount of plaintext now, as far as it is
// delivered in one piece. What crypto/tls has already taken is out of our hands.
func (t *Transport) plaintextMax() int {
	if !t.bio.records.none() {
		return joinedMax
	}
	return min(max(len(t.bio.in), 1), joinedMax)
}

// receiveInto decrypts into the memory of a buffered protocol. It asks for that
// memory only if there is plaintext, of which it has read the first byte to find
// out.
func (t *Transport) receiveInto() (more bool) {
	if !t.peeked {
		hint := [1]byte{}
		n, err := t.fill(hint[:])
		if n == 0 {
			return t.goOn(err)
		}
		t.peek, t.peeked = hint[0], true
	}
	if t.lent == nil && !t.lend() {
		return t.readable() // by another protocol, then
	}
	buf := t.lent
	t.lent = nil
	n := t.unpeek(buf)
	m, err := t.fill(buf[n:])
	if !t.IsClosing() {
		t.guard.BufferUpdated(n + m)
	}
	return t.goOn(err)
}

// lend asks the protocol for a buffer. It reports whether the buffer may be used
// now: inside GetBuffer the protocol may have paused, closed, or been replaced.
func (t *Transport) lend() bool {
	owner := t.guard.Protocol()
	buf := t.guard.GetBuffer(max(len(t.bio.in), 1))
	switch {
	case t.IsClosing() || t.guard.Protocol() != owner:
		return false
	case len(buf) == 0:
		t.guard.Report("Fatal error: protocol.get_buffer() call failed.", protocol.ErrEmptyBuffer)
		t.lose(protocol.ErrEmptyBuffer)
		return false
	}
	t.lent = buf
	return !t.paused
}

// unpeek puts the byte that was read to find out whether there is any into buf.
func (t *Transport) unpeek(buf []byte) int {
	if !t.peeked {
		return 0
	}
	buf[0] = t.peek
	t.peeked = false
	return 1
}

// fill decrypts until buf is full or there is no more.
func (t *Transport) fill(buf []byte) (n int, err error) {
	for n < len(buf) {
		if t.readErr != nil {
			return n, t.readErr
		}
		if t.bio.wouldWait() {
			return n, errWouldBlock // as Read would, after more work than a short message takes
		}
		m, err := t.read(buf[n:])
		n += m
		if 0 < m && n < len(buf) {
			t.bio.records.used()
		}
		if t.bio.flooded {
			err = transport.ErrBufferFull
		}
		if err == errWouldBlock {
			return n, err
		}
		t.readErr = err
	}
	return n, nil
}

// goOn handles the result of fill. An end that came while the protocol may not be
// told is kept.
func (t *Transport) goOn(err error) bool {
	switch {
	case err == nil:
		return true
	case err == errWouldBlock:
		return false
	case t.readable():
		t.ended(err)
	}
	return false
}

// ended handles the end of the input: the peer's close_notify, EOF, or an error.
func (t *Transport) ended(err error) {
	switch {
	case err == io.EOF && !t.bio.eofRead:
		t.notice = true
	case err == io.EOF && t.config.RequireCloseNotify:
		t.fail(transport.ErrNoCloseNotify)
		return
	case errors.Is(err, io.ErrUnexpectedEOF) && t.bio.eofRead:
		t.fail(fmt.Errorf("%w, within a record", transport.ErrNoCloseNotify))
		return
	case err != io.EOF:
		t.fail(err)
		return
	}
	t.guard.Note("received EOF")
	t.eof, t.peerDone = true, true
	if t.guard.EOFReceived() {
		t.guard.Note("returning true from EOFReceived has no effect with TLS")
	}
	t.Close()
}

// discard reads what the peer sends after Close, for the sake of its close_notify.
func (t *Transport) discard() {
	if t.peerDone {
		t.bio.in = nil
		return
	}
	lent := t.host.Buffer(max(len(t.bio.in), 1))
	var err error
	for err == nil {
		_, err = t.fill(lent[:cap(lent)])
	}
	t.host.Free(lent)
	switch {
	case err == errWouldBlock:
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		t.notice = err == io.EOF && !t.bio.eofRead
		t.answered()
	default:
		t.fail(err) // for example an alert: the peer did not accept what we sent
	}
}

// IsReading implements transport.ReadTransport.
func (t *Transport) IsReading() bool { return !t.IsClosing() && !t.paused && !t.eof }

// PauseReading implements transport.ReadTransport. The transport below continues to
// read until it has as much as SetReadBufferLimits allows.
func (t *Transport) PauseReading() {
	t.host.Check()
	if t.state > open || t.paused {
		return
	}
	t.guard.Note("pauses reading")
	t.paused = true
	t.regulate()
}

// ResumeReading implements transport.ReadTransport.
func (t *Transport) ResumeReading() {
	t.host.Check()
	if t.state > open || !t.paused {
		return
	}
	t.guard.Note("resumes reading")
	t.paused = false
	if t.state == open {
		t.schedule()
	}
}

// SetReadBufferLimits sets the water marks of input that was received and not yet
// decrypted because the protocol paused reading: strictly above High the transport
// below is paused, at Low or below it is resumed. Negative marks mean
// DefaultReadLimits. Error: transport.ErrBadLimits; the old marks then stay.
func (t *Transport) SetReadBufferLimits(l transport.Limits) error {
	t.host.Check()
	if l.High < 0 && l.Low < 0 {
		l = DefaultReadLimits
	}
	var f transport.FlowControl
	if _, err := f.SetLimits(l); err != nil {
		return err
	}
	l = f.Limits()
	t.limits = &l
	t.regulate()
	return nil
}

// ReadBufferLimits returns the marks set by SetReadBufferLimits.
func (t *Transport) ReadBufferLimits() transport.Limits {
	if t.limits == nil {
		return DefaultReadLimits
	}
	return *t.limits
}

// ReadBufferSize returns the number of bytes that wait to be decrypted.
func (t *Transport) ReadBufferSize() int { return len(t.held) }

// regulate pauses the transport below if too much is held, and resumes it. A
// transport that cannot be half-closed would not survive its EOF, so the EOF must
// not arrive before it can be used: such a transport is paused whenever the
// protocol is.
func (t *Transport) regulate() {
	if t.raw == nil || t.state >= lost {
		return
	}
	stop := t.state == open && t.paused
	l := t.ReadBufferLimits()
	switch {
	case !stop && len(t.held) <= l.Low, t.state > open:
		t.raw.ResumeReading()
	case stop && (len(t.held) > l.High || !t.raw.CanWriteEOF()):
		t.raw.PauseReading()
	}
}
