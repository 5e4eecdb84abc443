//go:build linux

package uring

import (
	"errors"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	iosys "github.com/iceber/iouring-go/syscall"
	"golang.org/x/sys/unix"
)

// kernelWith is a setup that knows only some flags.
func kernelWith(known uint32) setup {
	return func(_ uint32, p *iosys.IOURingParams) (int, syscall.Errno) {
		has := func(bits uint32) bool { return p.Flags&bits != 0 }
		switch {
		case p.Flags&^known != 0,
			has(SetupDeferTaskrun) && !has(SetupSingleIssuer),
			has(SetupTaskrunFlag) && !has(SetupDeferTaskrun|SetupCoopTaskrun):
			return -1, syscall.EINVAL
		}
		return 3, 0
	}
}

func TestSetupGivesUpOnlyWhatTheKernelLacks(t *testing.T) {
	const base = setupCQSize | setupDisabled
	const v518 = base | SetupSubmitAll
	const v519 = v518 | SetupCoopTaskrun | SetupTaskrunFlag
	const v60 = v519 | SetupSingleIssuer
	const v61 = v60 | SetupDeferTaskrun
	const v66 = v61 | SetupNoSQArray
	for _, test := range []struct {
		name                 string
		known, without, want uint32
	}{
		{"6.6", v66, 0, v66 &^ SetupCoopTaskrun},
		{"6.1", v61, 0, v61 &^ SetupCoopTaskrun},
		{"6.0", v60, 0, v60},
		{"5.19", v519, 0, v519},
		{"5.18", v518, 0, v518},
		{"5.17", base, 0, base},
		{"5.9", setupCQSize, 0, setupCQSize},
		{"6.6 without DEFER_TASKRUN", v66, SetupDeferTaskrun, v66 &^ SetupDeferTaskrun},
		{"6.6 without SINGLE_ISSUER", v66, SetupSingleIssuer,
			v66 &^ (SetupDeferTaskrun | SetupSingleIssuer)},
		{"6.6 without either TASKRUN", v66, SetupDeferTaskrun | SetupCoopTaskrun,
			v66 &^ (SetupDeferTaskrun | SetupCoopTaskrun | SetupTaskrunFlag)},
		{"6.0 without COOP_TASKRUN", v60, SetupCoopTaskrun,
			v60 &^ (SetupCoopTaskrun | SetupTaskrunFlag)},
	} {
		var p iosys.IOURingParams
		o := &Options{CQEntries: 64, Disabled: true, Without: test.without}
		fd, err := negotiate(kernelWith(test.known), 32, o, &p)
		if fd != 3 || err != nil || p.Flags != test.want {
			t.Errorf("%s: %v, flags %#x, want %#x", test.name, err, p.Flags, test.want)
		}
	}
}

func TestSetupShrinksWhenMemoryIsShort(t *testing.T) {
	var tried []uint32
	scarce := func(most uint32) setup {
		return func(n uint32, p *iosys.IOURingParams) (int, syscall.Errno) {
			tried = append(tried, n)
			if n > most || p.CQEntries > 4*most {
				return -1, syscall.ENOMEM
			}
			return 3, 0
		}
	}
	var p iosys.IOURingParams
	if fd, err := negotiate(scarce(64), 256, &Options{CQEntries: 1024}, &p); fd != 3 {
		t.Error(err)
	}
	if len(tried) != 3 || tried[2] != 64 || p.CQEntries != 256 {
		t.Error(tried, p.CQEntries)
	}
	_, err := negotiate(scarce(0), 256, &Options{}, &p)
	var memlock *MemlockError
	if !errors.As(err, &memlock) || !errors.Is(err, syscall.ENOMEM) {
		t.Fatal(err)
	}
	if memlock.Need == 0 || !strings.Contains(err.Error(), "RLIMIT_MEMLOCK") {
		t.Error(err)
	}
	if last := tried[len(tried)-1]; last != entriesMin {
		t.Error("gave up at", last)
	}
}

func TestRefusedSetupSaysWhy(t *testing.T) {
	for errno, word := range map[syscall.Errno]string{
		syscall.EPERM: "seccomp", syscall.ENOSYS: "CONFIG_IO_URING", syscall.EACCES: "policy",
	} {
		refuse := func(uint32, *iosys.IOURingParams) (int, syscall.Errno) { return -1, errno }
		var p iosys.IOURingParams
		_, err := negotiate(refuse, 8, &Options{}, &p)
		if !errors.Is(err, ErrNotSupported) || !errors.Is(err, errno) ||
			!strings.Contains(err.Error(), word) {
			t.Errorf("%v: %v", errno, err)
		}
	}
	full := func(uint32, *iosys.IOURingParams) (int, syscall.Errno) { return -1, syscall.EMFILE }
	var p iosys.IOURingParams
	_, err := negotiate(full, 8, &Options{}, &p)
	if !errors.Is(err, syscall.EMFILE) || errors.Is(err, ErrNotSupported) {
		t.Errorf("%v: want EMFILE, and not that it is not supported", err)
	}
}

func TestMemlockErrorNamesLimitAndNeed(t *testing.T) {
	for limit, word := range map[uint64]string{64 << 10: "64 KiB", ^uint64(0): "unlimited"} {
		s := (&MemlockError{What: "ring", Need: 9000, Limit: limit}).Error()
		if !strings.Contains(s, word) || !strings.Contains(s, "need 9 KiB") {
			t.Error(s)
		}
	}
}

// The size that the error names is the one that the kernel maps.
func TestRingSizeIsTheMappings(t *testing.T) {
	for _, without := range []uint32{0, SetupNoSQArray} {
		r := newRing(t, 256, &Options{CQEntries: 1024, Without: without})
		got := ringSize{256, 1024}.bytes()
		want := pages(uint64(len(r.rings))) + pages(uint64(len(r.sqesMap)))
		if got != want {
			t.Errorf("%d, want %d", got, want)
		}
	}
}

func TestDisabledRingIsEnabledByItsThread(t *testing.T) {
	needs(t, FeatureSetup)
	needs(t, FeatureDirectDescriptors)
	r, err := New(8, &Options{Disabled: true})
	if errors.Is(err, syscall.ENOMEM) {
		t.Skip("needs memory:", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := r.RegisterFiles(4); err != nil {
		t.Error("registering on a disabled ring:", err)
	}
	s := sqe(t, r)
	s.PrepNop()
	s.SetUserData(1)
	if _, err := r.Submit(); !errors.Is(err, ErrDisabled) {
		t.Error(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for range 2 {
			if err := r.Enable(); err != nil {
				t.Error(err)
				return
			}
		}
		n, err := r.SubmitAndWait(1, 30*time.Second)
		if c := r.Peek(); n != 1 || err != nil || c == nil || c.UserData != 1 {
			t.Error(n, err, c)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	<-done
}

func TestWrongThreadIsNamed(t *testing.T) {
	needs(t, FeatureSingleIssuer)
	needs(t, FeatureRegisteredRing)
	for name, plain := range map[string]bool{"registered": false, "plain": true} {
		r := newRing(t, 8, &Options{NoRegisteredFD: plain})
		if r.HasRegisteredFD() == plain {
			t.Fatal(name, r.HasRegisteredFD())
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			_, e1 := r.EnterNB()
			_, e2 := r.SubmitAndWait(1, time.Second)
			for i, err := range []error{e1, e2, r.RegisterFiles(4)} {
				if !errors.Is(err, ErrWrongThread) {
					t.Error(name, i, err)
				}
			}
		}()
		<-done
	}
}

func TestCompletionQueueOverflowLosesNothing(t *testing.T) {
	r := newRing(t, 8, &Options{CQEntries: 8})
	const total = 40
	for i := range total {
		s := sqe(t, r)
		s.PrepNop()
		s.SetUserData(uint64(i))
		if r.Space() == 0 {
			if _, err := r.EnterNB(); err != nil && err != ErrBusy {
				t.Fatal(err)
			}
		}
	}
	if !r.Overflowed() {
		t.Error("40 completions in a queue of 8 do not overflow it")
	}
	for i := range total {
		if c := wait(t, r); c.UserData != uint64(i) {
			t.Fatalf("%d is %+v", i, c)
		}
	}
	if r.Overflowed() || r.Overflow() != 0 || r.Dropped() != 0 {
		t.Error(r.Overflowed(), r.Overflow(), r.Dropped())
	}
	if r.Stats().Overflows == 0 {
		t.Errorf("%+v", r.Stats())
	}
}

// With DEFER_TASKRUN nothing completes before the next enter, but the flag reports
// it.
func TestTaskrunFlagTellsOfWork(t *testing.T) {
	needs(t, FeatureDeferTaskrun)
	r := newRing(t, 8, nil)
	const want = SetupDeferTaskrun | SetupSingleIssuer | SetupTaskrunFlag | SetupSubmitAll
	if r.Flags()&want != want {
		t.Fatalf("flags %#x", r.Flags())
	}
	a, b := pair(t, unix.SOCK_STREAM)
	s := sqe(t, r)
	s.PrepRecv(a, make([]byte, 8), 0)
	quiet(t, r)
	if r.TaskrunPending() {
		t.Fatal("work is pending before there is any")
	}
	write(t, b, "x")
	if !r.TaskrunPending() || r.Ready() != 0 {
		t.Error(r.TaskrunPending(), r.Ready())
	}
	if n, err := r.Submit(); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	if r.Ready() != 1 || r.TaskrunPending() {
		t.Error(r.Ready(), r.TaskrunPending())
	}
}

// A limit set by RLIMIT_MEMLOCK has nothing to do with the kernel's version, and is
// reported once.
func TestMemlockErrorOfTheProbeSaysOnceWhatHelps(t *testing.T) {
	err := notSupported(FeatureSetup, &MemlockError{What: "ring", Need: 1 << 12})
	text := err.Error()
	for _, once := range []string{"RLIMIT_MEMLOCK", "raise"} {
		if strings.Count(text, once) != 1 {
			t.Errorf("%q has %q %d times", text, once, strings.Count(text, once))
		}
	}
	for _, never := range []string{"5.11", "Linux", "no io_uring_setup"} {
		if strings.Contains(text, never) {
			t.Errorf("%q has %q", text, never)
		}
	}
	if !errors.Is(err, ErrNotSupported) || !errors.Is(err, syscall.ENOMEM) {
		t.Errorf("%v is neither", err)
	}
}
