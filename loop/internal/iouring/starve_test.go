package iouring

import (
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// taker counts the bytes of a RecvAny.
type taker struct{ bytes int }

func (k *taker) Complete(op *proactor.Op) { k.bytes += len(op.Data) }

// A connection with always more to receive takes every buffer there is, round
// after round; another one's byte must get through all the same.
func TestABusyConnectionDoesNotStarveAnother(t *testing.T) {
	e, busyIn, busyOut := lazyRigWith(t, proactor.Config{BuffersMin: 2, BuffersMax: 2})
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Close(fds[0])
		syscall.Close(fds[1])
	})
	var busy, quiet taker
	receive := func(fd int, k *taker) *proactor.Op {
		op := &proactor.Op{Code: proactor.RecvAny, FD: fd, Handler: k}
		e.Submit(op)
		return op
	}
	keepFull := func() {
		for chunk := make([]byte, 64<<10); ; {
			if _, err := syscall.Write(busyOut, chunk); err != nil {
				return
			}
		}
	}
	keepFull()
	receive(busyIn, &busy)
	receive(fds[0], &quiet)
	turn := func() {
		keepFull()
		if err := e.Wait(10 * time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		turn()
	}
	if _, err := syscall.Write(fds[1], []byte("!")); err != nil {
		t.Fatal(err)
	}
	for n := 0; quiet.bytes == 0; n++ {
		if n == 10 {
			t.Fatalf("nothing for the quiet connection in 10 turns, %d bytes for the busy one",
				busy.bytes)
		}
		turn()
	}
	if busy.bytes == 0 {
		t.Error("nothing for the busy connection")
	}
}

// pong sends back what its end of a connection receives.
type pong struct {
	e          *engine
	recv, send proactor.Op
	count      int
}

func (p *pong) Complete(op *proactor.Op) {
	if op == &p.recv && op.Res > 0 {
		p.count++
		p.e.Submit(&p.send)
	}
}

// As many sends as the queue has room for make an enter of their own, in which the
// receives that wait for their answers may take every buffer there is. Receives that
// found none must have their turn all the same.
func TestFullQueuesOfSendsDoNotStarveReceives(t *testing.T) {
	const busy, pairs, rounds = 8, 40, 5
	e, _, _ := lazyRigWith(t,
		proactor.Config{Entries: busy, BuffersMin: busy, BuffersMax: busy})
	var all []*pong
	for range pairs {
		fds, err := syscall.Socketpair(syscall.AF_UNIX,
			syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, fd := range fds {
			t.Cleanup(func() { syscall.Close(fd) })
			p := &pong{e: e}
			p.recv = proactor.Op{Code: proactor.RecvAny, FD: fd, Handler: p}
			p.send = proactor.Op{Code: proactor.Send, FD: fd, Buf: []byte("x"), Handler: p}
			e.Submit(&p.recv)
			all = append(all, p)
		}
		e.Submit(&all[len(all)-1].send)
	}
	fewest := func() int {
		n := all[0].count
		for _, p := range all {
			n = min(n, p.count)
		}
		return n
	}
	for turns := 0; fewest() < rounds; turns++ {
		if turns == 50*pairs*rounds/busy {
			t.Fatalf("%d for some connection in %d turns", fewest(), turns)
		}
		if err := e.Wait(10 * time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
}
