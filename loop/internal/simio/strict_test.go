package simio

import (
	"bytes"
	"testing"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

func recvOn(fd int) *proactor.Op {
	return &proactor.Op{Code: proactor.Recv, FD: fd, Buf: make([]byte, 8), Handler: ignore}
}

func sendOn(fd, n int) *proactor.Op {
	return &proactor.Op{Code: proactor.Send, FD: fd, Buf: make([]byte, n), Handler: ignore}
}

// strictCases break each rule once; the panic's message has the parts.
var strictCases = []struct {
	name  string
	parts []string
	run   func(r *rig, fd int, p *Peer)
}{
	{"CloseWithAReceiveInFlight", []string{"CloseFD of fd 1000 with recv in flight",
		"submit recv 1000"}, func(r *rig, fd int, _ *Peer) {
		r.Submit(recvOn(fd))
		r.CloseFD(fd)
	}},
	{"CloseBeforeTheCompletionIsDelivered", []string{"with recv in flight"},
		func(r *rig, fd int, p *Peer) {
			r.Submit(recvOn(fd))
			p.Send([]byte("x"))
			r.CloseFD(fd)
		}},
	{"TwoReceives", []string{"two receives on fd 1000"}, func(r *rig, fd int, _ *Peer) {
		r.Submit(recvOn(fd))
		r.Submit(&proactor.Op{Code: proactor.RecvAny, FD: fd, Handler: ignore})
	}},
	{"TwoSends", []string{"two sends on fd 1000"}, func(r *rig, fd int, _ *Peer) {
		r.Submit(sendOn(fd, 1))
		r.Submit(sendOn(fd, 1))
	}},
	{"SubmitOnAClosedDescriptor", []string{"submit of recv on fd 1000, which is closed",
		"close 1000"}, func(r *rig, fd int, _ *Peer) {
		r.CloseFD(fd)
		r.Submit(recvOn(fd))
	}},
	{"CallOnAClosedDescriptor", []string{"ShutdownWrite on fd 1000, which is closed"},
		func(r *rig, fd int, _ *Peer) {
			r.CloseFD(fd)
			r.ShutdownWrite(fd)
		}},
	{"CloseTwice", []string{"CloseFD on fd 1000, which is closed"},
		func(r *rig, fd int, _ *Peer) {
			r.CloseFD(fd)
			r.CloseFD(fd)
		}},
	{"ReceiveIntoFreedMemory", []string{"used after Free"}, func(r *rig, fd int, _ *Peer) {
		op := recvOn(fd)
		op.Buf = r.Alloc(64)
		r.Free(op.Buf)
		r.Submit(op)
	}},
	{"TrySendOfFreedMemory", []string{"used after Free"}, func(r *rig, fd int, _ *Peer) {
		b := r.Alloc(64)
		r.Free(b)
		r.TrySend(fd, [][]byte{b[10:20]})
	}},
	{"FreeWhileInUse", []string{"operation in flight"}, func(r *rig, fd int, _ *Peer) {
		b, op := r.Alloc(64), recvOn(fd)
		op.Buf = b[8:]
		r.Submit(op)
		r.Free(b)
	}},
	{"FreeTwice", []string{"second time"}, func(r *rig, _ int, _ *Peer) {
		b := r.Alloc(64)
		r.Free(b)
		r.Free(b)
	}},
	{"FreeOfAPart", []string{"not whole from Alloc"}, func(r *rig, _ int, _ *Peer) {
		r.Free(r.Alloc(64)[:63])
	}},
	{"WriteAfterFree", []string{"written to after Free"}, func(r *rig, _ int, _ *Peer) {
		b := r.Alloc(64)
		r.Free(b)
		b[7] = 1
		r.Engine.Close()
	}},
	{"TrySendWithASendInFlight", []string{"TrySend on fd 1000 with send in flight"},
		func(r *rig, fd int, _ *Peer) {
			r.Submit(sendOn(fd, 1))
			r.TrySend(fd, [][]byte{{1}})
		}},
	{"ShutdownWithASendInFlight", []string{"ShutdownWrite on fd 1000 with send in flight"},
		func(r *rig, fd int, _ *Peer) {
			r.Submit(sendOn(fd, 1))
			r.ShutdownWrite(fd)
		}},
	{"SubmitTwice", []string{"submitted while in flight"}, func(r *rig, fd int, _ *Peer) {
		op := recvOn(fd)
		r.Submit(op)
		r.Submit(op)
	}},
	{"WaitInsideComplete", []string{"Wait called inside Wait"},
		func(r *rig, fd int, _ *Peer) {
			r.do(instant(func(*proactor.Op) { r.Wait(0) }))
		}},
	{"CloseInsideComplete", []string{"Close called inside Wait"},
		func(r *rig, fd int, _ *Peer) {
			r.do(instant(func(*proactor.Op) { r.Engine.Close() }))
		}},
	{"WaitBeforeStart", []string{"Wait before Start"}, func(r *rig, _ int, _ *Peer) {
		New(Options{}).Wait(0)
	}},
	{"SendBufferChangedInFlight", []string{"written to while it was the kernel's"},
		func(r *rig, fd int, p *Peer) {
			op := sendOn(fd, 1<<20)
			p.PauseReading()
			r.Submit(op)
			r.turn(0)
			op.Buf[len(op.Buf)-1]++
			r.Cancel(op)
			r.finish(op)
		}},
	{"ReceiveBufferWrittenInFlight", []string{"written to while it was the kernel's"},
		func(r *rig, fd int, p *Peer) {
			op := recvOn(fd)
			r.Submit(op)
			op.Buf[3] = 1
			p.Send([]byte("x"))
			r.finish(op)
		}},
	{"OperationChangedInFlight", []string{"owner changed its recv"},
		func(r *rig, fd int, p *Peer) {
			op := recvOn(fd)
			r.Submit(op)
			op.FD++
			r.Cancel(op)
			r.finish(op)
		}},
}

func TestStrictness(t *testing.T) {
	for _, tt := range strictCases {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, Options{})
			fd, p := r.PeerPair()
			r.panics(func() {
				tt.run(r, fd, p)
				t.Error("nobody minded")
			}, tt.parts...)
			if tt.name != "WaitBeforeStart" && len(r.Violations()) != 1 {
				t.Errorf("violations: %q", r.Violations())
			}
		})
	}
}

func TestReceiveBufferIsTheKernels(t *testing.T) {
	r := newRig(t, Options{})
	fd, p := r.PeerPair()
	op := &proactor.Op{Code: proactor.Recv, FD: fd, Buf: []byte("precious"), Handler: ignore}
	r.Submit(op)
	if !bytes.Equal(op.Buf, bytes.Repeat([]byte{poisonByte}, 8)) {
		t.Errorf("in flight the buffer is %q", op.Buf)
	}
	p.Send([]byte("news"))
	if n := r.finish(op); n != 4 || string(op.Buf[:4]) != "news" {
		t.Errorf("received %d, %q", n, op.Buf)
	}
	r.must(r.CloseFD(fd))
	r.tidy()
}

func TestDataIsPoisonedAfterComplete(t *testing.T) {
	r := newRig(t, Options{})
	fd, p := r.PeerPair()
	var kept []byte
	op := &proactor.Op{Code: proactor.RecvAny, FD: fd}
	op.Handler = ops(func(op *proactor.Op) {
		if op.Res > 0 {
			kept = op.Data
			if string(kept) != "secret" {
				t.Errorf("received %q", kept)
			}
		}
	})
	r.Submit(op)
	p.Send([]byte("secret"))
	r.until("it came", func() bool { return kept != nil })
	if !bytes.Equal(kept, bytes.Repeat([]byte{poisonByte}, 6)) {
		t.Errorf("afterwards Data is %q", kept)
	}
	r.Cancel(op)
	r.finish(op)
	r.must(r.CloseFD(fd))
	r.tidy()
}

func TestDescriptorsAreReusedLowestFirst(t *testing.T) {
	r := newRig(t, Options{})
	a, b := r.Pair()
	c, d := r.Pair()
	r.must(r.CloseFD(b))
	r.must(r.CloseFD(a))
	e, f := r.Pair()
	if a != 1000 || b != 1001 || e != a || f != b {
		t.Errorf("descriptors %d %d, then %d %d", a, b, e, f)
	}
	for _, fd := range []int{c, d, e, f} {
		r.must(r.CloseFD(fd))
	}
	r.tidy()
}
