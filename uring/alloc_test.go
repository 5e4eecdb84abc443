//go:build linux

package uring

import (
	"testing"
	"time"
	"unsafe"

	iosys "github.com/iceber/iouring-go/syscall"
	"golang.org/x/sys/unix"
)

// echo is a round trip of four operations: a multishot receive that continues, its
// buffer returned, a send back, and the peer's one-shot receive and send.
type echo struct {
	t    *testing.T
	r    *Ring
	br   *BufRing
	a, b int
	ping []byte
	pong []byte
	want int
}

func (e *echo) round() {
	s := e.r.SQE()
	s.PrepSend(e.b, e.ping, unix.MSG_NOSIGNAL)
	s.SetFlags(CQESkipSuccess)
	s = e.r.SQE()
	s.PrepRecv(e.b, e.pong, 0)
	s.SetUserData(2)
	for done := false; !done; {
		if _, err := e.r.SubmitAndWait(1, 30*time.Second); err != nil {
			e.t.Fatal(err)
		}
		for c := range e.r.CQEs() {
			switch {
			case c.Errno() != 0:
				e.t.Fatal(c.Errno())
			case c.UserData == 2:
				done = int(c.Res) == e.want
			default:
				s := e.r.SQE()
				s.PrepSend(e.a, e.br.Buffer(c.BufID())[:c.Res], unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
				s.SetFlags(CQESkipSuccess)
				if _, err := e.r.EnterNB(); err != nil {
					e.t.Fatal(err)
				}
				e.br.Add(c.BufID())
				e.br.Advance()
			}
		}
	}
}

func TestOperationsAllocateNothing(t *testing.T) {
	needs(t, FeatureRecvMultishot)
	r := newRing(t, 16, nil)
	br, err := r.RegisterBufRingWith(1, BufRingOptions{Count: 4, Size: 64, Start: 4})
	if err != nil {
		t.Fatal(err)
	}
	e := &echo{t: t, r: r, br: br, ping: []byte("ping"), pong: make([]byte, 64), want: 4}
	e.a, e.b = pair(t, unix.SOCK_STREAM)
	s := sqe(t, r)
	s.PrepRecvMultishot(e.a, 1, 0)
	s.SetUserData(1)
	if n := testing.AllocsPerRun(200, e.round); n != 0 {
		t.Errorf("%v allocations a round trip", n)
	}
}

func TestWaitingInVainAllocatesNothing(t *testing.T) {
	r := newRing(t, 16, nil)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := r.SubmitAndWait(1, time.Microsecond); err != nil && err != ErrTimeout {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a timeout", n)
	}
	if n := testing.AllocsPerRun(100, func() {
		for range 3 {
			r.SQE().PrepNop()
		}
		if _, err := r.Submit(); err != nil {
			t.Fatal(err)
		}
		for r.Peek() != nil {
			r.Advance(1)
		}
	}); n != 0 {
		t.Errorf("%v allocations for three NOPs", n)
	}
}

// A goroutine's stack can move; what an SQE points to must not.
func TestTheBufferOfAnSQEIsNotOnTheStack(t *testing.T) {
	var s SQE
	if n := testing.AllocsPerRun(100, func() {
		var buf [64]byte
		s.PrepRecv(-1, buf[:], 0)
	}); n != 1 {
		t.Errorf("%v allocations, want the buffer's", n)
	}
}

// The fields lie where iouring-go's methods write them.
func TestCompatIsTheSameEntry(t *testing.T) {
	var s SQE
	c := s.Compat()
	c.PrepOperation(1, 2, 3, 4, 5)
	c.SetOpFlags(6)
	c.SetUserData(7)
	c.SetFlags(iosys.IOSQE_FLAGS_IO_LINK)
	c.SetIoprio(8)
	c.SetBufIndex(9)
	c.SetPersonality(10)
	c.SetSpliceFdIn(11)
	want := SQE{opcode: 1, fd: 2, addr: 3, len: 4, off: 5, opFlags: 6, userData: 7,
		flags: IOLink, ioprio: 8, bufIndex: 9, personality: 10, fileIndex: 11}
	if s != want {
		t.Errorf("%+v", s)
	}
	c.Reset()
	if s != (SQE{}) {
		t.Errorf("%+v", s)
	}
	q := CQE{UserData: 1, Res: -2, Flags: 3}
	e := (*iosys.CompletionQueueEvent16)(unsafe.Pointer(&q))
	if e.UserData() != 1 || e.Result() != -2 || e.Flags() != 3 {
		t.Errorf("%+v", e)
	}
}

func TestCompatEntryIsSubmitted(t *testing.T) {
	r := newRing(t, 8, nil)
	c := sqe(t, r).Compat()
	c.Reset()
	c.PrepOperation(iosys.IORING_OP_NOP, -1, 0, 0, 0)
	c.SetUserData(5)
	waitRes(t, r, 5, 0)
}

func BenchmarkNop(b *testing.B) {
	for _, batch := range []struct {
		name string
		n    int
	}{{"1", 1}, {"8", 8}, {"32", 32}} {
		b.Run(batch.name, func(b *testing.B) {
			r := newRing(b, 64, nil)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				r.SQE().PrepNop()
				if i%batch.n == batch.n-1 {
					if _, err := r.EnterNB(); err != nil {
						b.Fatal(err)
					}
					r.Advance(r.Ready())
				}
			}
		})
	}
}
