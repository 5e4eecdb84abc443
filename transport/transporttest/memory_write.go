package transporttest

import (
	"runtime/debug"

	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// Write implements transport.WriteTransport.
func (t *Transport) Write(p []byte) (int, error) {
	if err := t.WriteLines([][]byte{p}); err != nil {
		return 0, err
	}
	return len(p), nil
}

// WriteLines implements transport.WriteTransport.
func (t *Transport) WriteLines(lines [][]byte) error {
	switch {
	case t.eof:
		return transport.ErrEOFWritten
	case t.phase != open:
		return transport.ErrClosed
	}
	size := 0
	for _, line := range lines {
		t.queue = append(t.queue, line...)
		size += len(line)
	}
	if !t.opts.Full {
		t.written = append(t.written, t.queue...)
		t.queue = nil
		return nil
	}
	t.change(t.flow.Grew(size))
	return nil
}

// WriteOwned implements transport.OwnedWriter. release is called in the next Turn,
// no matter what became of p.
func (t *Transport) WriteOwned(p []byte, release func()) error {
	if err := t.WriteLines([][]byte{p}); err != nil {
		return err
	}
	if release != nil {
		t.releases = append(t.releases, release)
	}
	return nil
}

// take moves n bytes from the queue to what was sent.
func (t *Transport) take(n int) {
	t.written = append(t.written, t.queue[:n]...)
	t.queue = t.queue[n:]
	if n > 0 {
		t.change(t.flow.Shrank(n))
	}
}

// change makes the call that flow control asks for.
func (t *Transport) change(c transport.Change) {
	switch c {
	case transport.Pause:
		t.guard("PauseWriting", t.proto.PauseWriting)
	case transport.Resume:
		t.guard("ResumeWriting", t.proto.ResumeWriting)
	}
}

// WriteEOF implements transport.WriteTransport.
func (t *Transport) WriteEOF() error {
	if t.phase == open {
		t.eof = true
		t.sentEOF = len(t.queue) == 0
	}
	return nil
}

// CanWriteEOF implements transport.WriteTransport.
func (t *Transport) CanWriteEOF() bool { return true }

// Close implements transport.BaseTransport. ConnectionLost follows in a later Turn.
func (t *Transport) Close() error {
	if t.phase == open {
		t.phase = closing
		t.input = nil
	}
	return nil
}

// Abort implements transport.WriteTransport. ConnectionLost follows in a later
// Turn.
func (t *Transport) Abort() { t.lose(nil) }

// IsClosing implements transport.BaseTransport.
func (t *Transport) IsClosing() bool { return t.phase != open }

// ExtraInfo implements transport.BaseTransport.
func (t *Transport) ExtraInfo(name string) any { return t.opts.Info[name] }

// Protocol implements transport.BaseTransport.
func (t *Transport) Protocol() transport.BaseProtocol { return t.proto }

// SetProtocol implements transport.BaseTransport.
func (t *Transport) SetProtocol(p transport.BaseProtocol) error {
	if p == nil {
		return transport.ErrNilProtocol
	}
	_, plain := p.(protocol.Protocol)
	if _, ok := protocol.AsBuffered(p); !ok && !plain {
		return transport.ErrProtocolKind
	}
	if t.phase == gone {
		return transport.ErrClosed
	}
	t.proto = p
	return nil
}

// IsReading implements transport.ReadTransport.
func (t *Transport) IsReading() bool { return t.phase == open && !t.paused && !t.gotEOF }

// PauseReading implements transport.ReadTransport.
func (t *Transport) PauseReading() { t.paused = true }

// ResumeReading implements transport.ReadTransport. Data that is waiting is
// delivered in the next Turn.
func (t *Transport) ResumeReading() { t.paused = false }

// WriteBufferSize implements transport.WriteTransport.
func (t *Transport) WriteBufferSize() int { return len(t.queue) }

// WriteBufferLimits implements transport.WriteTransport.
func (t *Transport) WriteBufferLimits() transport.Limits { return t.flow.Limits() }

// SetWriteBufferLimits implements transport.WriteTransport.
func (t *Transport) SetWriteBufferLimits(l transport.Limits) error {
	c, err := t.flow.SetLimits(l)
	if t.phase < lost {
		t.change(c)
	}
	return err
}

// WritePaused implements transport.WriteTransport.
func (t *Transport) WritePaused() bool { return t.phase < gone && t.flow.Paused() }

func (t *Transport) release() {
	due := t.releases
	t.releases = nil
	for _, f := range due {
		t.guard("release", f)
	}
}

// guard calls f and records its panic. It reports whether f returned without one.
func (t *Transport) guard(callback string, f func()) (ok bool) {
	defer func() {
		if r := recover(); r != nil {
			t.panics = append(t.panics, &protocol.PanicError{
				Callback: callback, Value: r, Stack: debug.Stack()})
		}
	}()
	f()
	return true
}

// fatal is guard for the callbacks whose panic ends the connection.
func (t *Transport) fatal(callback string, f func()) {
	if !t.guard(callback, f) {
		t.lose(t.panics[len(t.panics)-1])
	}
}
