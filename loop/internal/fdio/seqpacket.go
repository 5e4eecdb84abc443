package fdio

import (
	"errors"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/guard"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// SeqPacket is a transport over a connected Unix socket that preserves message boundaries
// (SOCK_SEQPACKET). Its states are those of a Stream, and so are its protocols: each
// DataReceived or BufferUpdated is one message, and so is each Write.
//
//	receiving: idle --arm--> armed --EOF | error | paused: held back--> idle
//	sending:   idle --Write--> dirty --Flush, one message--> in flight --sent--> idle | dirty
//	                           dirty --Flush, several--> all taken --> idle
//	                                                 --> no room: the first in flight
//
// An operation may wait for room here, unlike on an unconnected Unix datagram socket: the
// kernel reserves memory before it copies, and if two sockets are each other's peer,
// nothing else limits the queue (unix_dgram_sendmsg).
type SeqPacket struct {
	endpoint
	lent    []byte // what GetBuffer returned before a pause, for the message that is held
	out     packets
	longest int // the longest message that the socket has been seen to take
}

// NewSeqPacket makes a transport on a connected descriptor, which it owns from now on.
// The protocol's kind must have been checked.
func NewSeqPacket(host Host, c Config) *SeqPacket {
	s := &SeqPacket{}
	s.init(host, s, &c)
	s.recv.Code, s.send.Code = proactor.RecvMsg, proactor.SendMsg
	s.guard.Adopt(c.Protocol)
	return s
}

// Start implements Transport.
func (s *SeqPacket) Start() {
	s.move(Open)
	s.watchIdle()
	if err := s.guard.ConnectionMade(s); err != nil {
		s.fail(err)
	}
	s.arm()
}

// Complete implements proactor.Handler.
func (s *SeqPacket) Complete(op *proactor.Op) {
	if op == &s.recv {
		s.received()
	} else {
		s.sent()
	}
	s.completed()
}

func (s *SeqPacket) kind() string { return "SeqPacket" }

func (s *SeqPacket) what() string { return "socket" }

func (s *SeqPacket) round() { s.deliverHeld() }

func (s *SeqPacket) drained() bool { return s.out.count() == 0 }

func (s *SeqPacket) drop() { s.out.drop() }

func (s *SeqPacket) cancel() {}

func (s *SeqPacket) busy() bool { return false }

func (s *SeqPacket) release() {}

func (s *SeqPacket) forget() { s.lent = nil }

// SetProtocol implements transport.BaseTransport.
func (s *SeqPacket) SetProtocol(p transport.BaseProtocol) error {
	s.host.Check()
	if err := guard.CheckProtocol(p); err != nil {
		return err
	}
	if s.state == Closed {
		return transport.ErrClosed
	}
	s.lent = nil
	s.guard.Adopt(p)
	return nil
}

func (s *SeqPacket) arm() {
	if s.readable() && !s.recv.InFlight() && len(s.held) == 0 {
		s.engine.Submit(&s.recv)
	}
}

// received handles a completion of the receive. More completions may come after the end.
func (s *SeqPacket) received() {
	if s.state != Open || s.eof {
		return
	}
	s.touch()
	op := &s.recv
	s.pub.received(op)
	switch {
	case op.Res == ecanceled:
	case s.holds() && op.Res <= 0:
		s.hold(arrival{res: op.Res})
	case s.holds():
		s.hold(heldArrival(receivedOf(op)))
	default:
		s.deliver(arrival{receivedOf(op), op.Res})
		s.guard.Poison(op.Data)
	}
	if !op.More {
		s.arm()
	}
}

// deliver implements kind. A part of a message is worse than none, so a truncated message
// ends the connection.
func (s *SeqPacket) deliver(a arrival) {
	switch {
	case a.res < 0:
		s.readFailed(s.opError("read", "recvmsg", syscall.Errno(-a.res)))
	case a.res == 0:
		s.endInput()
		s.engine.Cancel(&s.recv)
		s.tellEOF()
	case a.size > len(a.data):
		s.truncated(a.data, a.size)
	case s.guard.Buffered():
		s.deliverInto(a.data)
	default:
		s.guard.DataReceived(a.data)
	}
}

// deliverInto copies a message into memory of the protocol. Inside GetBuffer the protocol
// may have closed the transport; or given it to another protocol, which then gets the
// message; or paused: then the message is held back, and the buffer is used when reading
// resumes.
func (s *SeqPacket) deliverInto(data []byte) {
	owner, buf := s.guard.Protocol(), s.lent
	s.lent = nil
	if buf == nil {
		buf = s.guard.GetBuffer(len(data))
	}
	whole := arrival{received{data: data, size: len(data)}, int32(len(data))}
	switch {
	case s.state != Open:
	case s.guard.Protocol() != owner && !s.paused:
		s.deliver(whole)
	case s.paused:
		if s.guard.Protocol() == owner {
			s.lent = buf
		}
		whole.data = append([]byte(nil), data...)
		s.holdRest(whole)
		s.engine.Cancel(&s.recv)
	case len(buf) == 0:
		s.emptyBuffer()
	case len(buf) < len(data):
		s.truncated(data[:len(buf)], len(data))
	default:
		copy(buf, data)
		s.guard.BufferUpdated(len(data))
	}
}

// truncated ends the connection: of a message of size bytes, only data fitted.
func (s *SeqPacket) truncated(data []byte, size int) {
	s.readFailed(&transport.TruncatedError{Data: append([]byte(nil), data...), Size: size})
}

// Write implements transport.WriteTransport: p is one message. An empty one would be the
// peer's end of input, so it is not sent. Error: a *net.OpError with EMSGSIZE for one
// that is longer than the socket's send buffer allows.
func (s *SeqPacket) Write(p []byte) (int, error) {
	s.host.Check()
	if err := s.writable(len(p), len(p)); err != nil {
		return 0, err
	}
	if len(p) > 0 {
		s.push(p)
		s.grewNow(len(p))
	}
	return len(p), nil
}

// WriteLines implements transport.WriteTransport: each line is one message.
func (s *SeqPacket) WriteLines(lines [][]byte) error {
	s.host.Check()
	size, longest := 0, 0
	for _, line := range lines {
		size += len(line)
		longest = max(longest, len(line))
	}
	if err := s.writable(size, longest); err != nil {
		return err
	}
	for _, line := range lines {
		if len(line) > 0 {
			s.push(line)
		}
	}
	s.grewNow(size)
	return nil
}

// messageHead is how many bytes shorter than the send buffer a message must be
// (unix_dgram_sendmsg).
const messageHead = 32

// writable returns an error if n bytes may not be written, or if the longest message
// cannot be sent.
func (s *SeqPacket) writable(n, longest int) error {
	err := s.refusal(n)
	if err != nil || longest <= s.longest {
		return err
	}
	size, err := s.engine.GetOption(s.fd, proactor.SendBuffer)
	if err == nil && longest > size-messageHead {
		return s.opError("write", "sendmsg", syscall.EMSGSIZE)
	}
	s.longest = longest
	return nil
}

// push queues a message, which is not counted yet.
func (s *SeqPacket) push(p []byte) {
	s.pub.slot.Wrote(len(p))
	s.out.push(p, transport.Addr{}, s.host.Chunks(), false)
}

// grewNow counts n bytes that were queued, after offering the queue to the kernel if they
// would exceed the high mark.
func (s *SeqPacket) grewNow(n int) {
	if s.flow.Excess(n) && !s.send.InFlight() && !s.flow.Paused() {
		taken := s.trySend()
		old := min(taken, s.flow.Size())
		s.flow.Shrank(old)
		n -= taken - old
	}
	if s.state >= Lost {
		return
	}
	if !s.drained() {
		s.markDirty()
	}
	s.grew(n)
}

// trySend sends what the kernel takes, and returns how many bytes that is. An error ends
// the transport, later.
func (s *SeqPacket) trySend() (taken int) {
	for s.out.count() > 0 {
		batch := s.out.waiting()
		batch = batch[:min(len(batch), proactor.BatchMax)]
		n, err := s.engine.TrySendMany(s.fd, batch)
		full := n < len(batch)
		if n > 0 {
			s.touch()
			taken += s.out.pop(n, s.host.Chunks())
		}
		if err != nil {
			errno := syscall.EIO
			errors.As(err, &errno)
			s.sendFailed("sendmmsg", errno)
		}
		if full {
			break
		}
	}
	return taken
}

func (s *SeqPacket) sendFailed(call string, errno syscall.Errno) {
	s.writeFailed(s.opError("write", call, errno))
}

// Flush hands the queue to the engine. The loop calls it at the end of a round.
func (s *SeqPacket) Flush() {
	s.dirty = false
	if s.state >= Lost || s.drained() || s.send.InFlight() {
		return
	}
	if s.out.count() > 1 {
		s.shrank(s.trySend())
	}
	if s.state >= Lost || s.drained() || s.send.InFlight() {
		s.afterSend()
		return
	}
	first := s.out.waiting()[:1]
	s.send.Bufs = append(s.send.Bufs[:0], first[0].Data)
	s.awaited = false
	s.send.Lazy = s.state == Open && !s.eofAsked && !s.flow.Paused() && s.out.count() == 1
	s.pub.sendingPackets(first)
	s.engine.Submit(&s.send)
}

// sent handles the completion of that send.
func (s *SeqPacket) sent() {
	clear(s.send.Bufs)
	s.pub.page.Sent(s.pub.slot)
	switch errno := s.send.Errno(); {
	case s.state >= Lost:
	case errno != 0:
		s.sendFailed("sendmsg", errno)
	default:
		s.touch()
		s.shrank(s.out.pop(1, s.host.Chunks()))
		s.afterSend()
	}
}

// WriteEOF implements transport.WriteTransport.
func (s *SeqPacket) WriteEOF() error { return s.writeEOF() }

// CanWriteEOF implements transport.WriteTransport.
func (s *SeqPacket) CanWriteEOF() bool { return true }
