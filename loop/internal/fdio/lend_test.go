package fdio

import (
	"bytes"
	"net"
	"slices"
	"syscall"
	"testing"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// lendRig is an outRig with streams that receive into the engine's buffers.
type lendRig struct {
	outRig
	back []uint16 // buffers that were given back
}

func (r *lendRig) Engine() proactor.Proactor { return r }
func (r *lendRig) GiveBack(buffer uint16)    { r.back = append(r.back, buffer) }
func (r *lendRig) Cancel(op *proactor.Op)    { op.BeginCancel() }

// pass is a protocol whose DataReceived is a function.
type pass struct {
	protocol.Base
	t  transport.Transport
	do func(data []byte)
}

func (p *pass) ConnectionMade(t transport.Transport) { p.t = t }
func (p *pass) DataReceived(data []byte)             { p.do(data) }

// Lost implements Owner.
func (r *lendRig) Lost(Transport) {}

func (r *lendRig) stream() (*Stream, *pass) {
	p := &pass{}
	s := NewStream(r, Config{FD: 3, Owner: r, Protocol: protocol.Protocol(p),
		Local: &net.UnixAddr{Net: "unix"}, Peer: &net.UnixAddr{Net: "unix"}})
	s.Start()
	return s, p
}

// deliver has s receive data in a buffer with that number.
func (r *lendRig) deliver(s *Stream, number uint16, data []byte) {
	op := &s.recv
	op.Keep, op.Keepable, op.Buffer = false, true, number
	op.Deliver(int32(len(data)), true, data)
}

// wantKept checks whether the receiver of s keeps its buffer, and what was given back.
func (r *lendRig) wantKept(s *Stream, keeps bool, back ...uint16) {
	r.t.Helper()
	if s.recv.Keep != keeps || !slices.Equal(r.back, back) {
		r.t.Fatalf("kept %v, back %v; want %v, %v", s.recv.Keep, r.back, keeps, back)
	}
}

func TestWhatIsPassedOnIsSentFromTheReceiveBuffer(t *testing.T) {
	r := &lendRig{outRig: outRig{acceptRig: acceptRig{t: t}}}
	s, p := r.stream()
	data := numbered(0, 8<<10)
	p.do = func(data []byte) { p.t.Write(data) }
	r.deliver(s, 7, data)
	r.wantKept(s, true)
	r.flush()
	if &s.send.Buf[0] != &data[0] || len(s.send.Buf) != len(data) || !s.send.Once {
		t.Errorf("a copy of %d bytes is sent, once %v", len(s.send.Buf), s.send.Once)
	}
	if s.WriteBufferSize() != len(data) {
		t.Errorf("%d bytes buffered", s.WriteBufferSize())
	}
	s.send.Deliver(int32(len(data)), false, nil)
	r.wantKept(s, true, 7)
	if s.WriteBufferSize() != 0 {
		t.Errorf("%d bytes buffered after they were sent", s.WriteBufferSize())
	}
}

func TestEachPartIsLentUntilTheLastIsSent(t *testing.T) {
	r := &lendRig{outRig: outRig{acceptRig: acceptRig{t: t}}}
	s, p := r.stream()
	other, _ := r.stream()
	data := numbered(0, 20<<10)
	p.do = func(data []byte) {
		p.t.WriteLines([][]byte{data[:5<<10], data[5<<10 : 5<<10+100], data[6<<10:]})
		other.Write(data)
	}
	r.deliver(s, 0, data)
	r.flush()
	if s.send.Code != proactor.SendMsg || len(s.send.Bufs) != 3 {
		t.Fatalf("%v of %d slices", s.send.Code, len(s.send.Bufs))
	}
	var sent []byte
	for _, b := range s.send.Bufs {
		sent = append(sent, b...)
	}
	want := append(append([]byte(nil), data[:5<<10+100]...), data[6<<10:]...)
	if !bytes.Equal(sent, want) {
		t.Error("something else is sent")
	}
	other.send.Deliver(int32(len(data)), false, nil)
	r.wantKept(s, true)
	s.send.Deliver(int32(len(want)), false, nil)
	r.wantKept(s, true, 0)
}

func TestWhatCannotBeSentIsCopied(t *testing.T) {
	r := &lendRig{outRig: outRig{acceptRig: acceptRig{t: t}}}
	for _, taken := range []int{0, 100} {
		r.back = nil
		s, p := r.stream()
		data := numbered(0, 8<<10)
		p.do = func(data []byte) { p.t.Write(data) }
		r.deliver(s, 3, data)
		r.flush()
		res := int32(taken)
		if taken == 0 {
			res = -int32(syscall.EAGAIN)
		}
		s.send.Deliver(res, false, nil)
		r.wantKept(s, true, 3)
		clear(data) // it is the kernel's
		if s.state != Open || s.WriteBufferSize() != len(data)-taken {
			t.Fatalf("%v, %d bytes left", s.state, s.WriteBufferSize())
		}
		r.flush()
		if s.send.Once || !bytes.Equal(s.send.Buf, numbered(0, 8<<10)[taken:]) {
			t.Errorf("the rest is not what was written, once %v", s.send.Once)
		}
	}
}

// What has to wait for longer than the round is copied at once, or at its end.
func TestWhatHasToWaitIsCopied(t *testing.T) {
	for _, c := range []struct {
		name string
		with func(r *lendRig, s *Stream)
	}{
		{"behind a send in flight", func(r *lendRig, s *Stream) {
			s.Write([]byte("first"))
			r.flush()
		}},
		{"behind a file", func(r *lendRig, s *Stream) {
			if err := s.SendFile(r.file('f', 10)); err != nil {
				r.t.Error(err)
			}
		}},
		{"beyond the high mark", func(_ *lendRig, s *Stream) {
			s.SetWriteBufferLimits(transport.Limits{High: 100, Low: 10})
		}},
		{"more than a send carries", func(_ *lendRig, s *Stream) {
			s.SetWriteBufferLimits(transport.Limits{High: 4 << 20, Low: 0})
			s.Write(make([]byte, sendMax))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &lendRig{outRig: outRig{acceptRig: acceptRig{t: t}}}
			s, p := r.stream()
			c.with(r, s)
			p.do = func(data []byte) { p.t.Write(data) }
			r.deliver(s, 1, numbered(0, 8<<10))
			kept := s.recv.Keep
			r.flush()
			if kept && !slices.Equal(r.back, []uint16{1}) || s.out.lent > 0 {
				t.Errorf("kept %v, back %v, %d lent", kept, r.back, s.out.lent)
			}
		})
	}
}

func TestAbortGivesTheBufferBack(t *testing.T) {
	r := &lendRig{outRig: outRig{acceptRig: acceptRig{t: t}}}
	s, p := r.stream()
	p.do = func(data []byte) {
		p.t.Write(data)
		p.t.Abort()
	}
	r.deliver(s, 1, numbered(0, 8<<10))
	r.wantKept(s, false) // it is the engine's when the callback returns
	s, p = r.stream()
	p.do = func(data []byte) { p.t.Write(data) }
	r.deliver(s, 2, numbered(0, 8<<10))
	r.flush()
	s.Abort()
	r.wantKept(s, true) // the kernel may still use it
	s.recv.Deliver(-int32(syscall.ECANCELED), false, nil)
	s.send.Deliver(-int32(syscall.ECANCELED), false, nil)
	for _, task := range r.tasks {
		task.RunTask()
	}
	r.wantKept(s, true, 2)
}

func TestNothingElseIsLent(t *testing.T) {
	r := &lendRig{outRig: outRig{acceptRig: acceptRig{t: t}}}
	s, p := r.stream()
	memory := numbered(0, 64<<10)
	data := memory[16<<10 : 32<<10]
	for name, b := range map[string][]byte{
		"small":  data[:lendMin-1],
		"before": memory[:8<<10],
		"across": memory[12<<10 : 20<<10],
		"beyond": memory[28<<10 : 36<<10],
		"after":  memory[32<<10 : 40<<10],
		"copy":   append([]byte(nil), data...),
	} {
		p.do = func([]byte) { p.t.Write(b) }
		r.deliver(s, 1, data)
		if s.recv.Keep || s.out.lent > 0 {
			t.Errorf("%s: lent", name)
		}
	}
	p.do = func([]byte) {}
	r.deliver(s, 1, data)
	s.Write(data) // the callback has returned
	if s.out.lent > 0 {
		t.Error("lent outside of the callback")
	}
}

func TestLendingDoesNotAllocate(t *testing.T) {
	r := &lendRig{outRig: outRig{acceptRig: acceptRig{t: t}}}
	s, p := r.stream()
	p.do = func(data []byte) { p.t.Write(data) }
	data := numbered(0, 8<<10)
	r.back = make([]uint16, 0, 1000)
	r.dirty = make([]Flusher, 0, 10)
	if s.guard.Strict() {
		t.Skip("needs a build without checks, which allocate")
	}
	if n := testing.AllocsPerRun(100, func() {
		r.deliver(s, 1, data)
		dirty := r.dirty
		r.dirty = r.dirty[:0]
		for _, f := range dirty {
			f.Flush()
		}
		s.send.Deliver(int32(len(data)), false, nil)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A message that goes to all clients of a large server, or often into one output.
func TestABufferMayBeLentInAnyNumberOfParts(t *testing.T) {
	r := &lendRig{outRig: outRig{acceptRig: acceptRig{t: t}}}
	s, p := r.stream()
	const parts = 1<<16 + 1
	if err := s.SetWriteBufferLimits(transport.Limits{High: 1 << 30}); err != nil {
		t.Fatal(err)
	}
	p.do = func(data []byte) {
		for range parts {
			p.t.Write(data)
		}
	}
	r.deliver(s, 5, numbered(0, lendMin))
	r.wantKept(s, true)
	s.out.drop(s.host.Chunks(), nil)
	r.wantKept(s, true, 5)
}

// To try once more in this round would be in vain.
func TestWhatTheKernelHasJustRefusedIsNotLent(t *testing.T) {
	for name, write := range map[string]func(tr transport.Transport, data []byte){
		"Write": func(tr transport.Transport, data []byte) { tr.Write(data) },
		"WriteLines": func(tr transport.Transport, data []byte) {
			tr.WriteLines([][]byte{data, data})
		},
	} {
		r := &lendRig{outRig: outRig{acceptRig: acceptRig{t: t}, room: 12 << 10}}
		s, p := r.stream()
		if err := s.SetWriteBufferLimits(transport.Limits{High: 20 << 10}); err != nil {
			t.Fatal(err)
		}
		p.do = func(data []byte) { write(p.t, data) }
		data := numbered(0, 24<<10)
		r.deliver(s, 1, data)
		r.wantKept(s, false)
		if len(r.taken) != 12<<10 || s.WriteBufferSize() == 0 {
			t.Errorf("%s: %d bytes were taken, %d are buffered", name, len(r.taken),
				s.WriteBufferSize())
		}
		clear(data)
		rest := s.out.gather(nil)
		if !bytes.HasPrefix(bytes.Join(rest, nil), numbered(0, 24<<10)[12<<10:]) {
			t.Errorf("%s: the rest is not what was written", name)
		}
	}
}
