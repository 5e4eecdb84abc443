//go:build linux

package uring

import (
	"bytes"
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// garbage is what the collector finds if SQEs point to memory that was freed: each
// piece is overwritten as soon as somebody gets it.
func garbage(n int) {
	for i := range n {
		b := bytes.Repeat([]byte{0xEE}, 16+i%64*16)
		runtime.KeepAlive(b)
	}
	runtime.GC()
}

// Everything that messages point to, except the bytes, is staged, whatever the
// collector does between the preparation and the submission.
func TestStagedMessagesArriveWhateverTheCollectorDoes(t *testing.T) {
	r := newRing(t, 64, nil)
	for round := range 20 {
		a, b := pair(t, unix.SOCK_STREAM)
		var want []byte
		for n := 0; ; n++ {
			bufs := make([][]byte, VectorsMax)
			for i := range bufs {
				bufs[i] = fmt.Appendf(nil, "%d.%d.%d;", round, n, i)
			}
			if !r.CanStage(len(bufs)) {
				if n < 3 {
					t.Fatalf("%d messages of %d slices can be staged", n, len(bufs))
				}
				break
			}
			s := r.SQE()
			s.PrepSendMsg(a, r.StageMsg(bufs, 3, nil), unix.MSG_WAITALL)
			s.SetUserData(uint64(n))
			s.SetFlags(IOLink)
			whole := bytes.Join(bufs, nil)[3:]
			want = append(want, whole...)
			defer runtime.KeepAlive(bufs)
		}
		garbage(1000)
		if _, err := r.Submit(); err != nil {
			t.Fatal(err)
		}
		if !r.CanStage(VectorsMax) {
			t.Error("nothing is free after everything was taken")
		}
		got := make([]byte, 0, len(want))
		for buf := make([]byte, 64<<10); len(got) < len(want); {
			if err := r.Wait(0, 0); err != nil {
				t.Fatal(err)
			}
			r.Advance(r.Ready())
			n, err := unix.Read(b, buf)
			if err != nil && err != syscall.EAGAIN {
				t.Fatal(err)
			}
			got = append(got, buf[:max(n, 0)]...)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("round %d: other bytes arrived than were sent", round)
		}
	}
}

func TestStagedMemoryIsOutsideOfTheHeapAndBounded(t *testing.T) {
	r := newRing(t, 1, nil)
	inside := func(p unsafe.Pointer) bool {
		start := uintptr(unsafe.Pointer(unsafe.SliceData(r.stage.memory)))
		return uintptr(p) >= start && uintptr(p) < start+uintptr(len(r.stage.memory))
	}
	name := []byte{unix.AF_INET, 0, 1, 2, 127, 0, 0, 1}
	bufs := [][]byte{[]byte("ab"), nil, []byte("cde")}
	h := r.StageMsg(bufs, 1, name)
	vectors := unsafe.Slice(h.Iov, h.Iovlen)
	switch {
	case !inside(unsafe.Pointer(h)) || !inside(unsafe.Pointer(h.Iov)) ||
		!inside(unsafe.Pointer(h.Name)) || h.Control != nil:
		t.Error("a part of the header is elsewhere")
	case len(vectors) != 2 || *vectors[0].Base != 'b' || vectors[0].Len != 1 ||
		*vectors[1].Base != 'c' || vectors[1].Len != 3:
		t.Errorf("vectors %+v", vectors)
	case !bytes.Equal(unsafe.Slice(h.Name, h.Namelen), name):
		t.Error("another name")
	}
	if h := r.StageHeader(28, 64); h.Namelen != 28 || h.Controllen != 64 || h.Iov != nil {
		t.Errorf("header %+v", h)
	}
	if ts := r.StageTimespec(1500 * time.Millisecond); *ts != (Timespec{1, 5e8}) ||
		!inside(unsafe.Pointer(ts)) {
		t.Errorf("%+v", ts)
	}
	if r.CanStage(VectorsMax+1) || r.StageMsg(make([][]byte, VectorsMax+1), 0, nil) != nil ||
		r.StageVectors(make([][]byte, VectorsMax+1), 0) != nil {
		t.Error("more slices than a message may have")
	}
	if r.StageMsg(bufs, 0, make([]byte, 129)) != nil || r.StageAddr(make([]byte, 129)) != nil {
		t.Error("an address that is too long")
	}
	n := 0
	for ; r.StageAddr(name) != nil; n++ {
		if n > 10_000 {
			t.Fatal("no end")
		}
	}
	for r.StageHeader(0, 0) != nil || r.StageTimespec(1) != nil {
		n++ // the rest
	}
	if n < 100 || r.CanStage(0) || r.StageVectors(bufs, 0) != nil ||
		r.StageMsg(bufs, 0, nil) != nil {
		t.Errorf("full after %d, and then not", n)
	}
	r.SQE().PrepNop()
	if _, err := r.Submit(); err != nil || !r.CanStage(VectorsMax) {
		t.Error("not free after a submission:", err)
	}
}

func TestWaitSubmitsNothing(t *testing.T) {
	r := newRing(t, 4, nil)
	r.SQE().PrepNop()
	if err := r.Wait(1, time.Millisecond); err != ErrTimeout || r.Pending() != 1 || r.Ready() != 0 {
		t.Errorf("%v, %d pending, %d ready", err, r.Pending(), r.Ready())
	}
	if err := r.Wait(0, -1); err != nil || r.Pending() != 1 {
		t.Errorf("%v, %d pending", err, r.Pending())
	}
	if _, err := r.Submit(); err != nil {
		t.Fatal(err)
	}
	if err := r.Wait(1, -1); err != nil || r.Ready() != 1 {
		t.Errorf("%v, %d ready", err, r.Ready())
	}
}

// Wait collects what did not fit into the completion queue, one full queue at a
// time.
func TestWaitBringsWhatOverflowed(t *testing.T) {
	r := newRing(t, 2, &Options{CQEntries: 2})
	const all = 20
	for range all / 2 {
		r.SQE().PrepNop()
		r.SQE().PrepNop()
		if _, err := r.Submit(); err != nil && err != ErrBusy {
			t.Fatal(err)
		}
	}
	for got := 0; got < all; {
		n := r.Ready()
		if n == 0 && !r.Overflowed() {
			t.Fatalf("%d of %d completions", got, all)
		}
		got += n
		r.Advance(n)
		if err := r.Wait(0, 0); err != nil {
			t.Fatal(err)
		}
	}
	if r.Ready() > 0 || r.Overflowed() {
		t.Error("more completions than operations")
	}
}

func TestQuietLeavesTheCompletionsOfWhatItCancelled(t *testing.T) {
	r := newRing(t, 4, nil)
	a, _ := pair(t, unix.SOCK_STREAM)
	buf := make([]byte, 8)
	s := r.SQE()
	s.PrepRecv(a, buf, 0)
	s.SetUserData(7)
	if _, err := r.Submit(); err != nil {
		t.Fatal(err)
	}
	if !r.Quiet() {
		t.Fatal("a receive was not to be cancelled")
	}
	if c := r.Peek(); c == nil || c.UserData != 7 || c.Errno() != syscall.ECANCELED {
		t.Errorf("completion %+v", c)
	}
	if !r.Quiet() {
		t.Error("not quiet any more")
	}
	runtime.KeepAlive(buf)
}
