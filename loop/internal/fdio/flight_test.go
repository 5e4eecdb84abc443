package fdio

import (
	"net"
	"syscall"
	"testing"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// flightRig is an outRig that counts sends and sees descriptors closed.
type flightRig struct {
	outRig
	sends int
	lost  *Stream
}

func (r *flightRig) Engine() proactor.Proactor { return r }
func (r *flightRig) Lost(t Transport)          { r.lost = t.(*Stream) }

func (r *flightRig) Submit(op *proactor.Op) {
	if op.Code == proactor.Send || op.Code == proactor.SendMsg {
		r.sends++
	}
	r.outRig.Submit(op)
}

// turn runs the tasks of a round and flushes.
func (r *flightRig) turn() {
	tasks := r.tasks
	r.tasks = nil
	for _, task := range tasks {
		task.RunTask()
	}
	r.flush()
}

// ended is a protocol that counts its ConnectionLost.
type ended struct {
	silent
	lost int
}

func (e *ended) ConnectionLost(error) { e.lost++ }

// fly returns a stream with a receive in flight.
func fly(t *testing.T) (*flightRig, *Stream, *ended) {
	t.Helper()
	r, p := &flightRig{outRig: outRig{acceptRig: acceptRig{t: t}}}, &ended{}
	s := NewStream(r, Config{FD: 3, Protocol: p, Owner: r,
		Local: &net.UnixAddr{Net: "unix"}, Peer: &net.UnixAddr{Net: "unix"}})
	s.Start()
	if !s.recv.InFlight() {
		t.Fatal("no receive is in flight")
	}
	return r, s, p
}

// write writes n bytes and lets the round end.
func (r *flightRig) write(s *Stream, n int) {
	if _, err := s.Write(make([]byte, n)); err != nil {
		r.t.Error(err)
	}
	r.flush()
}

func TestS092_BytesInFlightCountUntilTheSendCompletes(t *testing.T) {
	r, s, _ := fly(t)
	r.write(s, 1000)
	if !s.send.InFlight() || s.WriteBufferSize() != 1000 {
		t.Errorf("in flight %v, %d bytes buffered", s.send.InFlight(), s.WriteBufferSize())
	}
	s.send.Deliver(1000, false, nil)
	if s.WriteBufferSize() != 0 {
		t.Errorf("%d bytes buffered after the completion", s.WriteBufferSize())
	}
}

func TestS446_AtMostOneSendIsInFlight(t *testing.T) {
	r, s, _ := fly(t)
	r.write(s, 1000)
	r.write(s, 500)
	if r.sends != 1 {
		t.Errorf("%d sends with one in flight", r.sends)
	}
	r.room = 1 << 20 // what would be offered to the kernel at once must wait, too
	large := make([]byte, 100<<10)
	if _, err := s.Write(large); err != nil {
		t.Error(err)
	}
	if err := s.WriteLines([][]byte{large}); err != nil {
		t.Error(err)
	}
	if r.flush(); r.sends != 1 || len(r.taken) > 0 {
		t.Errorf("%d sends, and %d bytes beside the one in flight", r.sends, len(r.taken))
	}
	s.send.Deliver(300, false, nil) // a short one
	r.turn()
	if r.sends != 2 || s.WriteBufferSize() != 1200+2*len(large) {
		t.Errorf("%d sends after a completion, %d bytes buffered", r.sends, s.WriteBufferSize())
	}
}

func TestS443_ConnectionLostWaitsForEveryOperation(t *testing.T) {
	r, s, p := fly(t)
	r.write(s, 1000)
	s.Abort()
	r.turn()
	if p.lost > 0 || len(r.closed) > 0 {
		t.Errorf("ConnectionLost %d, closed %v with two operations in flight", p.lost, r.closed)
	}
	s.recv.Deliver(-int32(syscall.ECANCELED), false, nil)
	r.turn()
	if p.lost > 0 || len(r.closed) > 0 {
		t.Errorf("ConnectionLost %d, closed %v with the send in flight", p.lost, r.closed)
	}
	s.send.Deliver(-int32(syscall.ECANCELED), false, nil)
	r.turn()
	if p.lost != 1 || len(r.closed) != 1 || r.lost != s {
		t.Errorf("ConnectionLost %d, closed %v after the last completion", p.lost, r.closed)
	}
}

// An engine that has failed may not be able to tell what the kernel still does.
func TestWhatIsInFlightAfterPerishKeepsItsMemory(t *testing.T) {
	r, s, p := fly(t)
	buffer := make([]byte, 10)
	s.recv.Buf = buffer // as a BufferedProtocol's
	r.write(s, 1000)
	s.Perish(syscall.EPERM)
	if p.lost != 1 || len(r.closed) != 1 {
		t.Fatalf("ConnectionLost %d, closed %v", p.lost, r.closed)
	}
	if !s.recv.InFlight() || len(s.recv.Buf) == 0 || &s.recv.Buf[0] != &buffer[0] {
		t.Error("the memory of the receive may be collected")
	}
	if !s.send.InFlight() || len(s.send.Buf)+len(s.send.Bufs) == 0 {
		t.Error("the memory of the send may be collected")
	}
}
