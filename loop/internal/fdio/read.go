package fdio

import (
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// The receiving half of a stream.
//
//	idle --arm--> armed --final completion--> idle
//	armed, paused: completions are held back in order; the first one cancels
//	the receive, so that no more than was already on its way is held
//	eof: never armed again

// arm begins to receive unless something prevents it.
func (s *Stream) arm() {
	if !s.readable() || s.recv.InFlight() || len(s.held) > 0 {
		return
	}
	if x := s.splice(); x != nil && x.arm() {
		return
	}
	if _, fds := s.takesFDs(); fds {
		s.recv.Code, s.recv.Mask, s.recv.Buf = proactor.Poll, pollIn, nil
		s.recv.Once = false
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
	s.recv.Code, s.recv.Buf = proactor.Recv, s.lent
	s.engine.Submit(&s.recv)
}

// received handles a completion of the receive.
func (s *Stream) received() {
	if s.state != Open {
		return
	}
	s.touch()
	op := &s.recv
	s.pub.received(op)
	switch {
	case op.Res == -int32(syscall.ECANCELED):
	case op.Code == proactor.Poll && op.Res > 0:
		s.receivable()
	case s.holds():
		s.hold(arrivalOf(op))
	case op.Res <= 0:
		s.endOfInput(op.Res)
	case op.Code == proactor.RecvAny:
		s.passShared(op)
	default:
		s.filled(int(op.Res))
	}
	if !op.More {
		s.arm()
	}
}

// receivable handles a completion of the watch for input, on a stream that receives
// descriptors or is relayed. What is not received now stays in the kernel.
func (s *Stream) receivable() {
	switch {
	case s.recv.Cancelling():
	case s.holds():
		s.engine.Cancel(&s.recv)
	case s.splice() != nil:
		s.splice().move()
	default:
		s.receiveFDs()
	}
}

// passShared gives the protocol what is in a shared buffer, which is lent to what it
// passes on.
func (s *Stream) passShared(op *proactor.Op) {
	chunks, strict := s.host.Chunks(), s.guard.Strict()
	chunks.deliver(s.engine, op, strict)
	s.pass(op.Data)
	if chunks.delivered() {
		s.guard.Report("Protocol changed data that it had written.", protocol.ErrDataChanged)
	}
	if strict && !op.Keep {
		s.guard.Poison(op.Data)
	}
}

// filled passes on n bytes that were received into the lent buffer. If the protocol has
// been replaced since, the new one gets a copy.
func (s *Stream) filled(n int) {
	buf := s.lent
	s.lent = nil
	if s.lentFor == s.epoch {
		s.guard.BufferUpdated(n)
		return
	}
	// A copy: from its first callback on the successor may use that buffer.
	s.pass(append([]byte(nil), buf[:n]...))
}

// pass gives data to the protocol, whatever its kind. What a protocol that pauses midway
// has not taken is held back.
func (s *Stream) pass(data []byte) {
	for len(data) > 0 {
		if !s.guard.Buffered() {
			s.guard.DataReceived(data)
			return
		}
		if s.lend(len(data)) {
			lent := s.lent
			s.lent = nil
			n := copy(lent, data)
			data = data[n:]
			s.guard.BufferUpdated(n)
		}
		if s.state != Open {
			return
		}
		if s.paused && len(data) > 0 {
			s.holdRest(arrival{received: received{data: data}})
			return
		}
	}
}

// arrivalOf returns a completion of the receive, to be held back. Its bytes are those of
// the operation, or lie in the lent buffer.
func arrivalOf(op *proactor.Op) arrival {
	a := arrival{res: op.Res}
	if op.Code == proactor.RecvAny && op.Res > 0 {
		a.data = op.Data
	}
	return a
}

// deliver implements kind.
func (s *Stream) deliver(a arrival) {
	switch {
	case a.data != nil:
		s.pass(a.data)
	case a.res > 0:
		s.filled(int(a.res))
	default:
		s.endOfInput(a.res)
	}
}

// endOfInput handles EOF, or an error of the receive.
func (s *Stream) endOfInput(res int32) {
	if res == 0 && s.hidReset() {
		res = -int32(syscall.ECONNRESET)
	}
	if res < 0 && !s.endsWith(syscall.Errno(-res)) {
		s.readFailed(s.opError("read", "recv", syscall.Errno(-res)))
		return
	}
	s.endInput()
	s.lent = nil
	if s.readsOnly() {
		s.endOfPipe()
		return
	}
	s.tellEOF()
}

// SetProtocol implements transport.BaseTransport. A receive into the old
// protocol's buffer is cancelled; bytes that had arrived in it are copied to
// the new protocol before any newer ones, so the old one must leave its buffer
// alone until then.
func (s *Stream) SetProtocol(p transport.BaseProtocol) error {
	if err := s.connection.SetProtocol(p); err != nil {
		return err
	}
	_, fds := s.takesFDs()
	if s.recv.InFlight() && (s.recv.Code == proactor.Recv || s.guard.Buffered() ||
		fds != (s.recv.Code == proactor.Poll)) {
		s.engine.Cancel(&s.recv)
	}
	return nil
}
