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
