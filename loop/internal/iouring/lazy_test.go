package iouring

import (
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/uring"
)

// counter counts completions.
type counter struct{ n int }

func (c *counter) Complete(*proactor.Op) { c.n++ }

// lazyRig is an engine on this thread and a socket pair.
func lazyRig(t *testing.T) (e *engine, ours, theirs int) {
	t.Helper()
	return lazyRigWith(t, proactor.Config{})
}

func lazyRigWith(t *testing.T, cfg proactor.Config) (e *engine, ours, theirs int) {
	t.Helper()
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	p := open(t, cfg)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		syscall.Close(fds[0])
		syscall.Close(fds[1])
	})
	return p.(*engine), fds[0], fds[1]
}

func TestALazySendCostsNoCompletion(t *testing.T) {
	e, ours, theirs := lazyRig(t)
	done := &counter{}
	op := &proactor.Op{Code: proactor.Send, FD: ours, Buf: []byte("hello"), Lazy: true,
		Handler: done}
	before := e.ring.Stats()
	e.Submit(op)
	if err := e.Wait(0); err != nil {
		t.Fatal(err)
	}
	after := e.ring.Stats()
	if done.n != 1 || op.Res != 5 {
		t.Fatalf("%d completions, result %d", done.n, op.Res)
	}
	if after.Completed != before.Completed || after.Enters != before.Enters+1 {
		t.Errorf("%d CQEs and %d enters for a lazy send",
			after.Completed-before.Completed, after.Enters-before.Enters)
	}
	if n, _ := syscall.Read(theirs, make([]byte, 16)); n != 5 {
		t.Errorf("%d bytes arrived", n)
	}
}

func TestALazySendWithoutRoomWaitsWithoutSpinning(t *testing.T) {
	e, ours, theirs := lazyRig(t)
	full := make([]byte, 64<<10)
	for {
		if _, err := syscall.Write(ours, full); err != nil {
			break
		}
	}
	done := &counter{}
	op := &proactor.Op{Code: proactor.Send, FD: ours, Buf: []byte("hello"), Lazy: true,
		Handler: done}
	e.Submit(op)
	before := e.ring.Stats().Enters
	for range 20 {
		if err := e.Wait(5 * time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	// One enter a Wait; a send that was tried again and again would make more
	// submissions than the one that waits for room.
	if enters := e.ring.Stats().Enters - before; enters > 25 || done.n != 0 {
		t.Errorf("%d enters in 20 waits, %d completions", enters, done.n)
	}
	if submitted := e.ring.Stats().Submitted; submitted > 10 {
		t.Errorf("%d submissions of one send", submitted)
	}
	for done.n == 0 {
		if _, err := syscall.Read(theirs, full); err != nil && err != syscall.EAGAIN {
			t.Fatal(err)
		}
		if err := e.Wait(5 * time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	if op.Res != 5 {
		t.Errorf("result %d", op.Res)
	}
}

func TestEveryRequiredFeatureIsOneOfUring(t *testing.T) {
	for _, name := range required {
		if f := uring.ProbeOnce().Lookup(name); f.Name != name {
			t.Errorf("%q is no feature", name)
		}
	}
}
