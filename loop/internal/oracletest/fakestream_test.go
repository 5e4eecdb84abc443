package oracletest

import (
	"net"
	"slices"
	"syscall"

	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// fakeStream is a transport over a wire, polled once a turn.
type fakeStream struct {
	l                             *fakeLoop
	w                             *wire
	p                             transport.BaseProtocol
	out                           []byte
	flow                          transport.FlowControl
	closing, paused, ended        bool // ended: EOF was delivered
	eofAsked, losing, lost, armed bool
	onLost                        func()
}

func newFakeStream(l *fakeLoop, w *wire, p protocol.Protocol) *fakeStream {
	s := &fakeStream{l: l, w: w, p: p, onLost: func() {}}
	l.streams = append(l.streams, s)
	err := s.guard("connection_made() call failed", func() {
		if b, ok := protocol.AsBuffered(p); ok {
			b.ConnectionMade(s)
		} else {
			p.ConnectionMade(s)
		}
	})
	s.armed = true
	if err != nil {
		s.fatal(err)
	}
	return s
}

func (s *fakeStream) guard(message string, f func()) error { return s.l.guard(message, s.p, f) }

// poll moves bytes. It reports whether anything happened.
func (s *fakeStream) poll() bool {
	wrote := s.pollWrite()
	return s.pollRead() || wrote
}

func (s *fakeStream) pollWrite() bool {
	if len(s.out) == 0 || s.losing {
		return false
	}
	if err := s.broken(); err != nil {
		s.fatal(err)
		return true
	}
	n := take(&s.w.toPeer, s.out)
	s.out = s.out[n:]
	if n > 0 && s.flow.Shrank(n) == transport.Resume {
		s.resume()
	}
	s.drained()
	return n > 0
}

func (s *fakeStream) resume() {
	_ = s.guard("protocol.resume_writing() failed", s.p.ResumeWriting) // survived
}

// broken is the error that a write meets.
func (s *fakeStream) broken() error {
	switch {
	case s.w.resetSubject:
		return syscall.ECONNRESET
	case s.w.peerGone:
		return syscall.EPIPE
	}
	return nil
}

// drained does what waits for the output to be gone.
func (s *fakeStream) drained() {
	if len(s.out) > 0 {
		return
	}
	if s.eofAsked {
		s.w.subjectEOF = true
	}
	if s.closing {
		s.lose(nil)
	}
}

func (s *fakeStream) pollRead() bool {
	if !s.armed || s.paused || s.closing || s.ended {
		return false
	}
	b, buffered := protocol.AsBuffered(s.p)
	var into []byte
	if buffered && (len(s.w.toSubject) > 0 || s.w.peerEOF) {
		if err := s.guard("get_buffer", func() { into = b.GetBuffer(-1) }); err != nil {
			s.fatal(err)
			return true
		}
		if len(into) == 0 {
			s.l.handler("get_buffer", protocol.ErrEmptyBuffer, s.p)
			s.fatal(protocol.ErrEmptyBuffer)
		}
		if s.paused || s.closing {
			return true
		}
	}
	switch {
	case s.w.resetSubject:
		s.fatal(syscall.ECONNRESET)
	case len(s.w.toSubject) > 0 && buffered:
		n := copy(into, s.w.toSubject)
		s.w.toSubject = s.w.toSubject[n:]
		s.callback("buffer_updated", func() { b.BufferUpdated(n) })
	case len(s.w.toSubject) > 0:
		data := s.w.toSubject
		s.w.toSubject = nil
		s.callback("data_received", func() { s.p.(protocol.Protocol).DataReceived(data) })
	case s.w.peerEOF:
		s.eof()
	default:
		return false
	}
	return true
}

// callback makes one whose panic is fatal.
func (s *fakeStream) callback(name string, f func()) {
	if err := s.guard(name, f); err != nil {
		s.fatal(err)
	}
}

func (s *fakeStream) eof() {
	s.ended = true
	keep := false
	s.callback("eof_received", func() {
		keep = s.p.(interface{ EOFReceived() bool }).EOFReceived()
	})
	if !keep {
		_ = s.Close() // always nil
	}
}

// fatal drops the output and loses the connection.
func (s *fakeStream) fatal(err error) {
	s.closing, s.out = true, nil
	s.lose(err)
}

// lose schedules ConnectionLost, once.
func (s *fakeStream) lose(err error) {
	if s.losing {
		return
	}
	s.losing, s.closing = true, true
	s.l.CallSoon(func() {
		_ = s.guard("connection_lost", func() { s.p.ConnectionLost(err) }) // survived
		s.w.subjectGone, s.w.subjectEOF = true, true
		s.w.resetPeer = s.w.tcp && len(s.w.toSubject) > 0
		s.lost = true
		s.l.streams = slices.DeleteFunc(s.l.streams, func(o *fakeStream) bool { return o == s })
		s.onLost()
	})
}

func (s *fakeStream) Close() error {
	if !s.closing {
		s.closing = true
		s.drained()
	}
	return nil
}

func (s *fakeStream) Abort() {
	if !s.losing {
		s.fatal(nil)
	}
}

func (s *fakeStream) Write(p []byte) (int, error) {
	if s.eofAsked {
		return 0, transport.ErrEOFWritten
	}
	if s.closing {
		return 0, transport.ErrClosed
	}
	rest := p
	if len(s.out) == 0 && s.broken() == nil {
		rest = p[take(&s.w.toPeer, p):]
	}
	s.out = append(s.out, rest...)
	s.apply(s.flow.Grew(len(rest)))
	return len(p), nil
}

func (s *fakeStream) WriteLines(lines [][]byte) error {
	_, err := s.Write(slices.Concat(lines...))
	return err
}

// apply makes the call that flow control asks for.
func (s *fakeStream) apply(c transport.Change) {
	switch c {
	case transport.Pause:
		_ = s.guard("protocol.pause_writing() failed", s.p.PauseWriting) // survived
	case transport.Resume:
		s.l.CallSoon(s.resume)
	}
}

func (s *fakeStream) WriteEOF() error {
	if !s.closing {
		s.eofAsked = true
		s.drained()
	}
	return nil
}

func (s *fakeStream) SetProtocol(p transport.BaseProtocol) error {
	if p == nil {
		return transport.ErrNilProtocol
	}
	s.p = p
	return nil
}

func (s *fakeStream) Protocol() transport.BaseProtocol {
	if s.lost {
		return nil
	}
	return s.p
}

func (s *fakeStream) SetWriteBufferLimits(l transport.Limits) error {
	c, err := s.flow.SetLimits(l)
	s.apply(c)
	s.apply(s.flow.Shrank(0))
	return err
}

func (s *fakeStream) WriteBufferLimits() transport.Limits { return s.flow.Limits() }

func (s *fakeStream) ExtraInfo(name string) any {
	switch name {
	case "sockname", "peername":
		return &net.TCPAddr{}
	case "socket":
		return s.w
	}
	return nil
}

func (s *fakeStream) IsClosing() bool      { return s.closing }
func (s *fakeStream) IsReading() bool      { return !s.paused && !s.closing && !s.ended }
func (s *fakeStream) PauseReading()        { s.paused = true }
func (s *fakeStream) ResumeReading()       { s.paused = false }
func (s *fakeStream) CanWriteEOF() bool    { return true }
func (s *fakeStream) WriteBufferSize() int { return len(s.out) }
func (s *fakeStream) WritePaused() bool    { return s.flow.Paused() }
