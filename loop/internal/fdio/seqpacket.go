package fdio

import (
	"syscall"

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
	connection
	messages messages
	out      packets
	longest  int // the longest message that the socket has been seen to take
}

// NewSeqPacket makes a transport on a connected descriptor, which it owns from now on.
// The protocol's kind must have been checked.
func NewSeqPacket(host Host, c Config) *SeqPacket {
	s := &SeqPacket{}
	s.init(host, s, &c)
	s.messages.of(&s.endpoint)
	s.guard.Adopt(c.Protocol)
	return s
}

// Complete implements proactor.Handler.
func (s *SeqPacket) Complete(op *proactor.Op) {
	if op == &s.recv {
		s.receivedMessage()
	} else {
		s.sent()
	}
	s.completed()
}

func (s *SeqPacket) kind() string { return "SeqPacket" }

func (s *SeqPacket) drained() bool { return s.out.count() == 0 }

func (s *SeqPacket) drop() { s.out.drop() }

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

// deliverInto copies a message into memory of the protocol. If it cannot now, because the
// protocol has paused or been replaced inside GetBuffer, the message is held back.
func (s *SeqPacket) deliverInto(data []byte) {
	ready := s.lend(len(data))
	switch lent := s.lent; {
	case s.state != Open:
	case !ready:
		s.holdRest(arrival{received: received{data: data, size: len(data)}})
	case len(lent) < len(data):
		s.truncated(data[:len(lent)], len(data))
	default:
		s.lent = nil
		copy(lent, data)
		s.guard.BufferUpdated(len(data))
	}
}

// truncated ends the connection: of a message of size bytes, only data fitted.
func (s *SeqPacket) truncated(data []byte, size int) {
	s.readFailed(&transport.TruncatedError{Data: append([]byte(nil), data...), Size: size})
}

// Write implements transport.WriteTransport: p is one message. Error: a *net.OpError with
// EMSGSIZE for one that is longer than the socket's send buffer allows.
func (s *SeqPacket) Write(p []byte) (int, error) {
	if err := s.WriteLines([][]byte{p}); err != nil {
		return 0, err
	}
	return len(p), nil
}

// WriteLines implements transport.WriteTransport: each line is one message. An empty one
// would be the peer's end of input, so it is not sent.
func (s *SeqPacket) WriteLines(lines [][]byte) error {
	s.host.Check()
	size, longest := 0, 0
	for _, line := range lines {
		size += len(line)
		longest = max(longest, len(line))
	}
	if err := s.writable(size, longest); err != nil || size == 0 {
		return err
	}
	for _, line := range lines {
		if len(line) > 0 {
			s.pub.slot.Wrote(len(line))
			s.out.push(line, transport.Addr{}, s.host.Chunks(), false)
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
	size, err := s.engine.GetOption(s.recv.FD, proactor.SendBuffer)
	if err == nil && longest > size-messageHead {
		return s.opError("write", "sendmsg", syscall.EMSGSIZE)
	}
	s.longest = longest
	return nil
}

// grewNow counts n bytes that were queued, after offering the queue to the kernel if they
// would exceed the high mark.
func (s *SeqPacket) grewNow(n int) {
	if s.flow.Excess(n) && !s.send.InFlight() && !s.flow.Paused() {
		taken := s.trySend()
		n = s.lessTaken(n, taken)
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
	for full := false; !full && !s.drained(); {
		n, noRoom, errno := s.sendBatch(&s.out)
		full = noRoom
		if n > 0 {
			s.touch()
			taken += s.out.pop(n, s.host.Chunks())
		}
		if errno != 0 {
			s.sendFailed("sendmmsg", errno)
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
	s.submitMessage(&s.out)
}

// sent handles the completion of that send.
func (s *SeqPacket) sent() {
	s.sentMessage()
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
