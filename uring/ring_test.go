//go:build linux

package uring

import (
	"errors"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestNopCompletesWithItsUserData(t *testing.T) {
	r := newRing(t, 8, nil)
	for i := range uint64(100) {
		s := sqe(t, r)
		s.PrepNop()
		s.SetUserData(i)
		if n, err := r.Submit(); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		waitRes(t, r, i, 0)
	}
}

func TestQueueFullGivesNilAndLosesNothing(t *testing.T) {
	for name, without := range map[string]uint32{
		"without SQ array": 0, "with SQ array": SetupNoSQArray,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRing(t, 4, &Options{Without: without})
			for round := range 3 {
				for i := range 4 {
					s := sqe(t, r)
					s.PrepNop()
					s.SetUserData(uint64(round*4 + i))
				}
				if r.SQE() != nil {
					t.Fatal("a fifth entry of four")
				}
				if got := r.Pending(); got != 4 {
					t.Fatal("Pending", got)
				}
				if got := r.Space(); got != 0 {
					t.Fatal("Space", got)
				}
				if n, err := r.SubmitAndWait(4, 30*time.Second); n != 4 || err != nil {
					t.Fatal(n, err)
				}
				if got := r.Ready(); got != 4 {
					t.Fatal("Ready", got)
				}
				for i := range 4 {
					if c := r.PeekAt(i); c.UserData != uint64(round*4+i) {
						t.Fatalf("round %d: %d is %+v", round, i, *c)
					}
				}
				r.Advance(4)
			}
			if got := r.Stats(); got.Enters != 3 || got.Submitted != 12 || got.Completed != 12 {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestBeyondReadyIsAPanic(t *testing.T) {
	r := newRing(t, 4, nil)
	for name, f := range map[string]func(){
		"PeekAt(0)":   func() { r.PeekAt(0) },
		"PeekAt(-1)":  func() { r.PeekAt(-1) },
		"Advance(1)":  func() { r.Advance(1) },
		"Advance(-1)": func() { r.Advance(-1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error(name, "is no panic")
				}
			}()
			f()
		}()
	}
}

// Even rare answers of the kernel are classified, without allocating.
func TestEnterErrorsAreSorted(t *testing.T) {
	r := newRing(t, 4, nil)
	for errno, want := range map[syscall.Errno]error{
		syscall.EINTR: nil, syscall.ETIME: ErrTimeout, syscall.EBUSY: ErrBusy,
		syscall.EAGAIN: ErrBusy, syscall.EBADR: ErrDropped, syscall.EBADFD: ErrDisabled,
	} {
		var err error
		if n := testing.AllocsPerRun(10, func() { err = r.enterError(errno) }); n != 0 {
			t.Errorf("%v: %v allocations", errno, n)
		}
		if err != want {
			t.Errorf("%v: %v, want %v", errno, err, want)
		}
	}
	if err := r.enterError(syscall.EFAULT); !errors.Is(err, syscall.EFAULT) {
		t.Error(err)
	}
	if s := r.Stats(); s.Busy == 0 || s.Interrupts == 0 || s.Timeouts == 0 {
		t.Errorf("%+v", s)
	}
}

func TestCQEsYieldsAllAndStopsOnBreak(t *testing.T) {
	r := newRing(t, 8, nil)
	for i := range uint64(5) {
		s := sqe(t, r)
		s.PrepNop()
		s.SetUserData(i)
	}
	if _, err := r.SubmitAndWait(5, 30*time.Second); err != nil {
		t.Fatal(err)
	}
	var got []uint64
	for c := range r.CQEs() {
		got = append(got, c.UserData)
		if c.UserData == 1 {
			break
		}
	}
	for c := range r.CQEs() {
		got = append(got, c.UserData)
	}
	for i := range uint64(5) {
		if len(got) != 5 || got[i] != i {
			t.Fatal(got)
		}
	}
}

func TestWaitTimesOut(t *testing.T) {
	r := newRing(t, 8, nil)
	began := time.Now()
	n, err := r.SubmitAndWait(1, 20*time.Millisecond)
	// A signal may end the wait early: then it is not a timeout.
	for err == nil {
		n, err = r.SubmitAndWait(1, 20*time.Millisecond)
	}
	if n != 0 || err != ErrTimeout || !errors.Is(err, syscall.ETIME) {
		t.Fatal(n, err)
	}
	if d := time.Since(began); d < 20*time.Millisecond {
		t.Errorf("after %v", d)
	}
	if r.Stats().Timeouts != 1 {
		t.Errorf("%+v", r.Stats())
	}
}

func TestZeroTimeoutDoesNotBlock(t *testing.T) {
	r := newRing(t, 8, nil)
	sock, _ := pair(t, unix.SOCK_STREAM)
	s := sqe(t, r)
	s.PrepRecv(sock, make([]byte, 8), 0)
	if n, err := r.SubmitAndWait(1, 0); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if st := r.Stats(); st.Blocking != 0 || st.Enters != 1 {
		t.Errorf("%+v", st)
	}
}

func TestWaitForWhatIsReadyMakesNoSystemCall(t *testing.T) {
	r := newRing(t, 8, nil)
	sqe(t, r).PrepNop()
	if _, err := r.EnterNB(); err != nil {
		t.Fatal(err)
	}
	before := r.Stats().Enters
	if n, err := r.SubmitAndWait(1, -1); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := r.Submit(); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	if r.Stats().Enters != before {
		t.Errorf("%d enters", r.Stats().Enters-before)
	}
}

// A signal to the waiting thread ends the wait without an error: the runtime
// sends SIGURG to preempt.
func TestASignalIsNotAnError(t *testing.T) {
	r := newRing(t, 8, nil)
	pid, tid := unix.Getpid(), unix.Gettid()
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Tgkill(pid, tid, unix.SIGURG)
				runtime.Gosched()
			}
		}
	}()
	var err error
	for r.Stats().Interrupts < 3 && err == nil {
		if _, err = r.SubmitAndWait(1, 30*time.Second); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	<-done
}

func TestBadSizesAreRefused(t *testing.T) {
	for _, c := range []struct{ sq, cq uint32 }{{0, 0}, {32769, 0}, {8, 4}, {8, 65537}} {
		if _, err := New(c.sq, &Options{CQEntries: c.cq}); !errors.Is(err, ErrSize) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestSizesAreRoundedUp(t *testing.T) {
	r := newRing(t, 5, &Options{CQEntries: 100})
	if r.Entries() != 8 || r.CQEntries() != 128 {
		t.Errorf("%d, %d", r.Entries(), r.CQEntries())
	}
}

func TestClosedRingSaysSo(t *testing.T) {
	r := newRing(t, 8, nil)
	br, err := r.RegisterBufRing(1, 4, 64)
	if err != nil && !errors.Is(err, ErrNotSupported) {
		t.Fatal(err)
	}
	sqe(t, r).PrepNop()
	for range 2 {
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if r.SQE() != nil || r.Peek() != nil || r.Ready() != 0 || r.Pending() != 0 {
		t.Error("a closed ring has entries")
	}
	_, e1 := r.Submit()
	_, e2 := r.EnterNB()
	_, e3 := r.SubmitAndWait(1, -1)
	for i, err := range []error{e1, e2, e3, r.Enable(), r.RegisterFiles(1),
		r.RegisterBuffersSparse(1)} {
		if !errors.Is(err, ErrClosed) {
			t.Error(i, err)
		}
	}
	if br != nil {
		if err := br.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Operations in flight release their sockets before Close returns: the port is free
// at once.
func TestCloseEndsWhatIsInFlight(t *testing.T) {
	needs(t, FeatureSyncCancel)
	r := newRing(t, 8, nil)
	fd, name := openListener(t)
	sqe(t, r).PrepAcceptMultishot(fd, 0)
	if _, err := r.EnterNB(); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
	again, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(again)
	if err := unix.Bind(again, name); err != nil {
		t.Error(err)
	}
}
