package fdio

import (
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/guard"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// reading is the receiving half of a stream.
//
//	idle --arm--> armed --final completion--> idle
//	armed, paused: completions are held back in order; the first one cancels
//	the receive, so that no more than was already on its way is held
//	eof: never armed again
type reading struct {
	paused bool
	eof    bool
	held   []arrival // came while paused, not yet delivered

	epoch   uint32 // counts SetProtocol
	lent    []byte // what GetBuffer returned, until BufferUpdated
	lentFor uint32 // the epoch in which it was lent
}

// arrival is a completion that was held back.
type arrival struct {
	data []byte // a copy; nil: n bytes lie in the lent buffer, or see res
	n    int
	res  int32 // 0: EOF; negative: an error
}

// arm begins to receive where nothing speaks against it.
func (s *Stream) arm() {
	if !s.readable() || s.recv.InFlight() || len(s.reading.held) > 0 {
		return
	}
	if _, fds := s.takesFDs(); fds {
		s.recv.Code, s.recv.Mask, s.recv.Buf = proactor.Poll, pollIn, nil
		s.engine.Submit(&s.recv)
		return
	}
	if !s.guard.Buffered() {
		s.recv.Code, s.recv.Buf = proactor.RecvAny, nil
		s.engine.Submit(&s.recv)
		return
	}
	if !s.lend(-1) {
		return
	}
	s.recv.Code, s.recv.Buf = proactor.Recv, s.reading.lent
	s.engine.Submit(&s.recv)
}

// readable reports whether bytes may be passed to the protocol.
func (s *Stream) readable() bool {
	return s.state == Open && !s.reading.paused && !s.reading.eof && !s.writesOnly()
}

// lend asks the protocol for a buffer, unless it has one of it already. It
// reports whether there is one and it may be used now: inside GetBuffer the
// protocol may have paused, closed, or given way to another.
func (s *Stream) lend(hint int) bool {
	r := &s.reading
	for r.lent == nil || r.lentFor != r.epoch {
		epoch := r.epoch
		buf := s.guard.GetBuffer(hint)
		if s.state != Open || r.paused && r.epoch != epoch {
			return false
		}
		if r.epoch != epoch {
			if !s.guard.Buffered() {
				s.schedule()
				return false
			}
			continue
		}
		if len(buf) == 0 {
			s.emptyBuffer()
			return false
		}
		r.lent, r.lentFor = buf, epoch
	}
	return s.readable()
}

func (s *Stream) emptyBuffer() {
	s.host.Report(Exception{Message: "Fatal error: protocol.get_buffer() call failed.",
		Err: protocol.ErrEmptyBuffer, Transport: s, Protocol: s.guard.Protocol()})
	s.fail(protocol.ErrEmptyBuffer)
}

// received takes a completion of the receive.
func (s *Stream) received() {
	if s.state != Open {
		return
	}
	s.touch()
	op := &s.recv
	s.pub.received(op)
	r := &s.reading
	switch {
	case op.Res == -int32(syscall.ECANCELED):
	case op.Code == proactor.Poll && op.Res > 0:
		s.receivable()
	case r.paused || len(r.held) > 0:
		s.hold(op)
	case op.Res <= 0:
		s.endOfInput(op.Res)
	case op.Code == proactor.RecvAny:
		s.pass(op.Data)
		s.guard.Poison(op.Data)
	default:
		s.filled(int(op.Res))
	}
	if !op.More {
		s.arm()
	}
}

// receivable takes a completion of the watch for input, of a stream that receives
// descriptors. What is not received now stays in the kernel.
func (s *Stream) receivable() {
	switch {
	case s.recv.Cancelling():
	case s.reading.paused || len(s.reading.held) > 0:
		s.engine.Cancel(&s.recv)
	default:
		s.receiveFDs()
	}
}

// hold keeps a completion for later and stops receiving.
func (s *Stream) hold(op *proactor.Op) {
	a := arrival{n: int(op.Res), res: op.Res}
	if op.Code == proactor.RecvAny && op.Res > 0 {
		a.data = append([]byte(nil), op.Data...)
	}
	s.reading.held = append(s.reading.held, a)
	s.publishHeld()
	s.engine.Cancel(op)
}

// filled passes on n bytes that were received into the lent buffer. Where the
// protocol has changed since, its successor gets a copy.
func (s *Stream) filled(n int) {
	r := &s.reading
	buf := r.lent
	r.lent = nil
	if r.lentFor == r.epoch {
		s.guard.BufferUpdated(n)
		return
	}
	// A copy: from its first callback on the successor may use that buffer.
	s.pass(append([]byte(nil), buf[:n]...))
}

// pass gives data to the protocol, whatever its kind. What a protocol that
// pauses midway has not taken is held.
func (s *Stream) pass(data []byte) {
	for len(data) > 0 {
		if !s.guard.Buffered() {
			s.guard.DataReceived(data)
			return
		}
		if s.lend(len(data)) {
			lent := s.reading.lent
			s.reading.lent = nil
			n := copy(lent, data)
			data = data[n:]
			s.guard.BufferUpdated(n)
		}
		if s.state != Open {
			return
		}
		if s.reading.paused && len(data) > 0 {
			a := arrival{data: append([]byte(nil), data...), n: len(data), res: 1}
			s.reading.held = append([]arrival{a}, s.reading.held...)
			s.publishHeld()
			return
		}
	}
}

// endOfInput is EOF, or an error of the receive.
func (s *Stream) endOfInput(res int32) {
	if res == 0 && s.hidReset() {
		res = -int32(syscall.ECONNRESET)
	}
	if res < 0 && !s.endsWith(syscall.Errno(-res)) {
		err := s.opError("read", "recv", syscall.Errno(-res))
		s.guard.Note("Fatal read error on "+s.what()+" transport", "err", err)
		s.fail(err)
		return
	}
	s.guard.Note("received EOF")
	s.reading.eof = true
	s.pub.slot.EOFReceived()
	s.reading.lent = nil
	if s.readsOnly() {
		s.endOfPipe()
		return
	}
	if keepOpen := s.guard.EOFReceived(); !keepOpen && s.state == Open {
		s.Close()
	}
}

// deliverHeld passes on what was held back, one at a time: any of them may lead
// to a pause. It runs as a task, never from inside ResumeReading.
func (s *Stream) deliverHeld() {
	r := &s.reading
	for len(r.held) > 0 && s.readable() {
		a := r.held[0]
		r.held = r.held[1:]
		s.publishHeld()
		switch {
		case a.data != nil:
			s.pass(a.data)
		case a.res > 0:
			s.filled(a.n)
		default:
			s.endOfInput(a.res)
		}
	}
	if len(r.held) == 0 {
		r.held = nil
	}
	s.arm()
}

// IsReading implements transport.ReadTransport.
func (s *Stream) IsReading() bool {
	return s.state <= Open && !s.reading.paused && !s.reading.eof && !s.writesOnly()
}

// PauseReading implements transport.ReadTransport. A receive in flight goes on;
// what it brings is held back and ends it.
func (s *Stream) PauseReading() {
	s.host.Check()
	if s.state > Open || s.reading.paused {
		return
	}
	s.guard.Note("pauses reading")
	s.reading.paused = true
	s.pub.page.PauseReading(s.pub.slot)
}

// ResumeReading implements transport.ReadTransport.
func (s *Stream) ResumeReading() {
	s.host.Check()
	if s.state > Open || !s.reading.paused {
		return
	}
	s.guard.Note("resumes reading")
	s.reading.paused = false
	s.pub.page.ResumeReading(s.pub.slot)
	if s.state == Open && (len(s.reading.held) > 0 || !s.recv.InFlight()) {
		s.schedule()
	}
}

// SetProtocol implements transport.BaseTransport. A receive into the old
// protocol's buffer is cancelled; bytes that had arrived in it are copied to
// the new protocol before any newer ones, so the old one must leave its buffer
// alone until then.
func (s *Stream) SetProtocol(p transport.BaseProtocol) error {
	s.host.Check()
	if err := guard.CheckProtocol(p); err != nil {
		return err
	}
	if s.state == Closed {
		return transport.ErrClosed
	}
	s.guard.Adopt(p)
	s.reading.epoch++
	_, fds := s.takesFDs()
	if s.recv.InFlight() && (s.recv.Code == proactor.Recv || s.guard.Buffered() ||
		fds != (s.recv.Code == proactor.Poll)) {
		s.engine.Cancel(&s.recv)
	}
	return nil
}
