package simio

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

func TestPeerConnectsAndReceivesWithoutTimePassing(t *testing.T) {
	r := newRig(t, Options{})
	l, addr := r.listener(0)
	p, err := r.DialNow(addr)
	r.must(err)
	if !p.Connected() || r.Now() != 0 {
		t.Errorf("connected %v at %v", p.Connected(), r.Now())
	}
	if _, err := r.DialNow(addr); !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("beyond the backlog: %v", err)
	}
	fd := -1
	accept := &proactor.Op{Code: proactor.Accept, FD: l}
	accept.Handler = ops(func(op *proactor.Op) {
		if op.More {
			fd = int(op.Res)
			r.Cancel(op)
		}
	})
	r.do(accept)
	r.must(r.CloseFD(l))
	if _, err := r.DialNow(addr); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("without a listener: %v", err)
	}

	b := make([]byte, 4)
	if n, err := p.Recv(b); n != 0 || !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("before anything was sent: %d, %v", n, err)
	}
	r.send(fd, "hello")
	r.must(r.CloseFD(fd))
	r.turn(time.Second)
	r.turn(time.Second)
	var got []byte
	n, err := p.Recv(b)
	for ; n > 0; n, err = p.Recv(b) {
		got = append(got, b[:n]...)
	}
	if string(got) != "hello" || err != nil {
		t.Errorf("received %q, then %v", got, err)
	}
	p.Close()
	if _, err := p.Recv(b); !errors.Is(err, syscall.ENOTCONN) {
		t.Errorf("after Close: %v", err)
	}
	r.tidy()
}

// What two peers send in one turn is there in the next one, whole and in order,
// whatever the seed.
func TestLoopbackKeepsTheOrderAmongConnections(t *testing.T) {
	for seed := range uint64(32) {
		r := newRig(t, Options{Seed: seed, Loopback: true})
		a, peerA := r.accepted()
		b, peerB := r.accepted()
		var order []string
		receive := func(fd int, name string) *proactor.Op {
			op := &proactor.Op{Code: proactor.Recv, FD: fd, Buf: make([]byte, 1<<16)}
			op.Handler = ops(func(op *proactor.Op) {
				order = append(order, name+string(op.Buf[:max(0, op.Res)]))
			})
			r.Submit(op)
			return op
		}
		opB, opA := receive(b, "b "), receive(a, "a ")
		r.turn(0)
		before := r.Now()
		peerA.Send([]byte("first message"))
		peerB.Send([]byte("second message"))
		r.turn(0)
		if len(order) != 2 || order[0] != "a first message" || order[1] != "b second message" {
			t.Errorf("seed %d: %q after %v", seed, order, r.Now()-before)
		}
		r.finish(opA)
		r.finish(opB)
		r.must(r.CloseFD(a))
		r.must(r.CloseFD(b))
		r.tidy()
	}
}

// Linux says EPIPE to whoever sends on a Unix socket without a peer, and leaves
// the reset to a receive.
func TestUnixSocketKeepsItsResetForAReceive(t *testing.T) {
	r := newRig(t, Options{})
	fd, p := r.PeerPair()
	p.PauseReading()
	r.send(fd, "never read")
	p.Close()
	if n := r.send(fd, "x"); n != -int(syscall.EPIPE) {
		t.Errorf("sent %d", n)
	}
	for _, want := range []int{-int(syscall.ECONNRESET), 0} {
		if n, _ := r.recv(fd); n != want {
			t.Errorf("received %d, want %d", n, want)
		}
	}
	r.must(r.CloseFD(fd))
	r.tidy()
}
