package tlsio

import (
	"github.com/sluice-net/sluice/transport"
)

// The writing half.
//
//	Write --the transport below takes more--> encrypted, written there
//	      --it is paused-------------------> backlog --it resumes--> encrypted …
//
// The size that is compared with the marks is that of the backlog plus that of the
// transport below. The marks of the transport below are kept at ours or lower
// (rawLimits), so that whenever the application is paused, the transport below is
// too, and it reports when it resumes.

// recordMax is the maximum amount of plaintext in one record.
const recordMax = 16 << 10

// rawLimits are the marks of the transport below if ours are larger.
var rawLimits = transport.DefaultLimits

// Write implements transport.WriteTransport.
func (t *Transport) Write(p []byte) (int, error) {
	t.host.Check()
	if err := t.writable(len(p)); err != nil {
		return 0, err
	}
	t.put(p)
	t.grew()
	return len(p), nil
}

// WriteLines implements transport.WriteTransport. Short lines share records.
func (t *Transport) WriteLines(lines [][]byte) error {
	t.host.Check()
	size := 0
	for _, line := range lines {
		size += len(line)
	}
	if err := t.writable(size); err != nil {
		return err
	}
	buf := t.host.Buffer(min(size, recordMax))
	for _, line := range lines {
		for len(line) > 0 {
			n := min(len(line), cap(buf)-len(buf))
			buf = append(buf, line[:n]...)
			line = line[n:]
			if len(buf) == cap(buf) {
				t.put(buf)
				buf = buf[:0]
			}
		}
	}
	t.put(buf)
	t.host.Free(buf)
	t.grew()
	return nil
}

// WriteOwned implements transport.OwnedWriter. p is encrypted directly from where
// it lies, without being copied first.
func (t *Transport) WriteOwned(p []byte, release func()) error {
	t.host.Check()
	if err := t.writable(len(p)); err != nil {
		return err
	}
	rest := t.sealInOrder(p)
	switch {
	case len(rest) > 0 && t.state < lost:
		t.backlog.own(rest, release)
	case release != nil:
		t.guard.Releases = append(t.guard.Releases, release)
		t.schedule()
	}
	t.grew()
	return nil
}

// writable returns an error if n bytes may not be written.
func (t *Transport) writable(n int) error {
	switch {
	case t.IsClosing():
		return transport.ErrClosed
	case t.config.WriteCap > 0 && n > t.config.WriteCap-t.WriteBufferSize():
		return transport.ErrBufferFull
	}
	return nil
}

// put encrypts p, and keeps a copy of what the transport below does not accept.
func (t *Transport) put(p []byte) {
	rest := t.sealInOrder(p)
	if len(rest) > 0 && t.state < lost {
		t.backlog.copyIn(rest, t.host)
	}
}

// sealInOrder encrypts p unless something waits before it. It returns what is left.
func (t *Transport) sealInOrder(p []byte) []byte {
	if t.state == handshaking || !t.backlog.empty() {
		return p
	}
	return p[t.seal(p):]
}

// seal encrypts p for as long as the transport below accepts it and returns how
// much.
func (t *Transport) seal(p []byte) (n int) {
	for n < len(p) && !t.rawPaused && t.state < lost {
		k := min(len(p)-n, recordMax)
		if _, err := t.conn.Write(p[n : n+k]); err != nil {
			t.fail(err)
		}
		n += k
	}
	return n
}

// drain encrypts the backlog as far as the transport below accepts it.
func (t *Transport) drain() {
	if t.state != open && t.state != closing {
		return
	}
	if t.lowMarksSet && !t.rawPaused {
		t.lowMarksSet = false
		t.tune()
	}
	for !t.backlog.empty() && t.drainOne() {
	}
	t.guard.RunReleases()
	t.shut()
}

// grew counts what was written and pauses the protocol if it is too much.
func (t *Transport) grew() {
	if t.state >= lost {
		return
	}
	if n := t.WriteBufferSize() - t.flow.Size(); n > 0 && t.flow.Grew(n) == transport.Pause {
		t.pauseWriting()
	}
}

// settle counts what was sent, and resumes the protocol if little is left. It must
// not be called from inside a user's call. If a paused protocol must wait for a
// transport below that is not paused itself, the marks of that transport are
// lowered so that it reports.
func (t *Transport) settle() {
	if t.state == handshaking || t.state >= lost {
		return
	}
	t.grew()
	if n := t.flow.Size() - t.WriteBufferSize(); n >= 0 && t.state < lost &&
		t.flow.Shrank(n) == transport.Resume {
		t.resumeWriting()
	}
	if t.state < notified && t.flow.Paused() && !t.rawPaused && !t.lowMarksSet &&
		!t.awaitsSource() {
		t.lowMarksSet = true
		low := t.lowerLimits().Low
		_ = t.raw.SetWriteBufferLimits(transport.Limits{High: low, Low: low})
		if !t.rawPaused {
			t.schedule() // it was sent meanwhile
		}
	}
}

// lowerLimits returns the marks of the transport below.
func (t *Transport) lowerLimits() transport.Limits {
	l := t.flow.Limits()
	return transport.Limits{High: min(rawLimits.High, l.High), Low: min(rawLimits.Low, l.Low)}
}

// tune sets the marks of the transport below.
func (t *Transport) tune() {
	if l := t.lowerLimits(); !t.lowMarksSet && t.raw != nil && t.raw.WriteBufferLimits() != l {
		_ = t.raw.SetWriteBufferLimits(l) // 0 <= Low <= High holds
	}
}

// count brings the size up to date before new marks are compared with it. It does
// nothing for a paused protocol, which may not be resumed now.
func (t *Transport) count() {
	t.grew()
	if n := t.flow.Size() - t.WriteBufferSize(); n > 0 && !t.flow.Paused() {
		t.flow.Shrank(n)
	}
}

// WriteEOF implements transport.WriteTransport: one direction of a TLS connection
// cannot be closed alone. Error: transport.ErrNoHalfClose.
func (t *Transport) WriteEOF() error { return transport.ErrNoHalfClose }

// CanWriteEOF implements transport.WriteTransport.
func (t *Transport) CanWriteEOF() bool { return false }

// WriteBufferSize implements transport.WriteTransport: the plaintext that waits
// and the ciphertext that the transport below has not sent.
func (t *Transport) WriteBufferSize() int {
	if t.state >= lost || t.raw == nil {
		return 0
	}
	return t.backlog.size + t.raw.WriteBufferSize()
}

// WriteBufferLimits implements transport.WriteTransport.
func (t *Transport) WriteBufferLimits() transport.Limits { return t.flow.Limits() }

// SetWriteBufferLimits implements transport.WriteTransport. If both marks are
// negative they are DefaultLimits of this package.
func (t *Transport) SetWriteBufferLimits(l transport.Limits) error {
	t.host.Check()
	if l.High < 0 && l.Low < 0 {
		l = DefaultLimits
	}
	t.count()
	change, err := t.flow.SetLimits(l)
	if err != nil || t.state >= lost {
		return err
	}
	t.tune()
	if change == transport.Pause {
		t.pauseWriting()
	}
	if t.flow.Paused() {
		t.schedule() // to resume, or to make sure that we learn of the low mark
	}
	return nil
}

// WritePaused implements transport.WriteTransport.
func (t *Transport) WritePaused() bool { return t.state < gone && t.flow.Paused() }
