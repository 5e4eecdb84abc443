//go:build linux

package uring

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// collect takes n completions and returns them by user data.
func collect(t *testing.T, r *Ring, n int) map[uint64]CQE {
	t.Helper()
	got := map[uint64]CQE{}
	for range n {
		c := wait(t, r)
		if _, twice := got[c.UserData]; twice {
			t.Fatalf("a second completion of %d", c.UserData)
		}
		got[c.UserData] = c
	}
	return got
}

func TestCancelByUserData(t *testing.T) {
	r := newRing(t, 8, nil)
	a, _ := pair(t, unix.SOCK_STREAM)
	s := sqe(t, r)
	s.PrepRecv(a, make([]byte, 8), 0)
	s.SetUserData(1)
	s = sqe(t, r)
	s.PrepCancel(1, 0)
	s.SetUserData(2)
	got := collect(t, r, 2)
	if c := got[1]; c.Errno() != syscall.ECANCELED {
		t.Errorf("%+v", c)
	}
	if c := got[2]; c.Res != 0 {
		t.Errorf("%+v", c)
	}
	s = sqe(t, r)
	s.PrepCancel(1, 0)
	if c := wait(t, r); c.Errno() != syscall.ENOENT {
		t.Errorf("%+v: nothing to cancel", c)
	}
}

func TestCancelAllOfADescriptor(t *testing.T) {
	needs(t, FeatureCancelFD)
	r := newRing(t, 8, nil)
	a, b := pair(t, unix.SOCK_STREAM)
	for i, fd := range []int{a, a, b} {
		s := sqe(t, r)
		s.PrepRecv(fd, make([]byte, 8), 0)
		s.SetUserData(uint64(i))
	}
	s := sqe(t, r)
	s.PrepCancelFD(a, CancelAll)
	s.SetUserData(9)
	got := collect(t, r, 3)
	c0, c1, c9 := got[0], got[1], got[9]
	if c0.Errno() != syscall.ECANCELED || c1.Errno() != syscall.ECANCELED || c9.Res != 2 {
		t.Errorf("%+v", got)
	}
	quiet(t, r)
}

func TestSyncCancel(t *testing.T) {
	needs(t, FeatureSyncCancel)
	r := newRing(t, 8, nil)
	a, _ := pair(t, unix.SOCK_STREAM)
	s := sqe(t, r)
	s.PrepRecv(a, make([]byte, 8), 0)
	s.SetUserData(5)
	quiet(t, r)
	if _, err := r.SyncCancel(5, -1, 0, time.Second); err != nil {
		t.Fatal(err)
	}
	if c := wait(t, r); c.UserData != 5 || c.Errno() != syscall.ECANCELED {
		t.Errorf("%+v", c)
	}
	if _, err := r.SyncCancel(5, -1, 0, 0); !errors.Is(err, syscall.ENOENT) {
		t.Error(err)
	}
}

func TestPollOnceAndMultishot(t *testing.T) {
	needs(t, FeaturePollMultishot)
	r := newRing(t, 8, nil)
	a, b := pair(t, unix.SOCK_STREAM)
	s := sqe(t, r)
	s.PrepPollAdd(a, unix.POLLIN)
	s.SetUserData(1)
	s = sqe(t, r)
	s.PrepPollMultishot(a, unix.POLLIN)
	s.SetUserData(2)
	quiet(t, r)
	write(t, b, "x")
	got := collect(t, r, 2)
	c1, c2 := got[1], got[2]
	if c1.Res&unix.POLLIN == 0 || c1.More() || c2.Res&unix.POLLIN == 0 || !c2.More() {
		t.Errorf("%+v", got)
	}
	write(t, b, "y")
	if c := wait(t, r); c.UserData != 2 || !c.More() {
		t.Errorf("%+v", c)
	}
	s = sqe(t, r)
	s.PrepPollRemove(2)
	s.SetUserData(3)
	got = collect(t, r, 2)
	c2, c3 := got[2], got[3]
	if c2.Errno() != syscall.ECANCELED || c2.More() || c3.Res != 0 {
		t.Errorf("%+v", got)
	}
}

func TestPollUpdateChangesEventsAndUserData(t *testing.T) {
	needs(t, FeaturePollMultishot)
	r := newRing(t, 8, nil)
	a, _ := pair(t, unix.SOCK_STREAM)
	s := sqe(t, r)
	s.PrepPollAdd(a, unix.POLLIN)
	s.SetUserData(1)
	quiet(t, r)
	s = sqe(t, r)
	s.PrepPollUpdate(1, 7, unix.POLLOUT, PollUpdateEvents|PollUpdateUserData)
	s.SetUserData(2)
	got := collect(t, r, 2)
	c2, c7 := got[2], got[7]
	if c2.Res != 0 || c7.Res&unix.POLLOUT == 0 {
		t.Errorf("%+v", got)
	}
}

func TestTimeoutFiresIsRemovedAndIsMoved(t *testing.T) {
	r := newRing(t, 8, nil)
	short, long := NewTimespec(time.Millisecond), NewTimespec(time.Hour)
	if long.Sec != 3600 || short.Nsec != 1e6 {
		t.Fatal(short, long)
	}
	s := sqe(t, r)
	s.PrepTimeout(&short, 0, 0)
	s.SetUserData(1)
	if c := wait(t, r); c.Errno() != syscall.ETIME {
		t.Errorf("%+v", c)
	}
	s = sqe(t, r)
	s.PrepTimeout(&long, 0, 0)
	s.SetUserData(1)
	s = sqe(t, r)
	s.PrepTimeoutRemove(1, 0)
	s.SetUserData(2)
	got := collect(t, r, 2)
	c1, c2 := got[1], got[2]
	if c1.Errno() != syscall.ECANCELED || c2.Res != 0 {
		t.Errorf("%+v", got)
	}
	s = sqe(t, r)
	s.PrepTimeout(&long, 0, 0)
	s.SetUserData(1)
	s = sqe(t, r)
	s.PrepTimeoutUpdate(&short, 1, 0)
	s.SetUserData(2)
	got = collect(t, r, 2)
	c1, c2 = got[1], got[2]
	if c1.Errno() != syscall.ETIME || c2.Res != 0 {
		t.Errorf("%+v", got)
	}
}

func TestLinkTimeoutCancelsWhatItFollows(t *testing.T) {
	r := newRing(t, 8, nil)
	a, _ := pair(t, unix.SOCK_STREAM)
	ts := NewTimespec(time.Millisecond)
	s := sqe(t, r)
	s.PrepRecv(a, make([]byte, 8), 0)
	s.SetFlags(IOLink)
	s.SetUserData(1)
	s = sqe(t, r)
	s.PrepLinkTimeout(&ts, 0)
	s.SetUserData(2)
	got := collect(t, r, 2)
	c1, c2 := got[1], got[2]
	if c1.Errno() != syscall.ECANCELED || c2.Errno() != syscall.ETIME {
		t.Errorf("%+v", got)
	}
}

func TestErrorBreaksALinkButNotAHardlink(t *testing.T) {
	r := newRing(t, 8, nil)
	for _, test := range []struct {
		flag uint8
		want syscall.Errno
	}{{IOLink, syscall.ECANCELED}, {IOHardlink, 0}} {
		s := sqe(t, r)
		s.PrepCancel(1<<40, 0)
		s.SetFlags(test.flag)
		s.SetUserData(1)
		s = sqe(t, r)
		s.PrepNop()
		s.SetUserData(2)
		got := collect(t, r, 2)
		c1, c2 := got[1], got[2]
		if c1.Errno() != syscall.ENOENT || c2.Errno() != test.want {
			t.Errorf("flag %#x: %+v", test.flag, got)
		}
	}
}

func TestMsgRingReachesAnotherRing(t *testing.T) {
	needs(t, FeatureMsgRing)
	from, to := newRing(t, 8, nil), newRing(t, 8, nil)
	s := sqe(t, from)
	s.PrepMsgRing(to.FD(), 42, 77, 0)
	s.SetUserData(1)
	waitRes(t, from, 1, 0)
	waitRes(t, to, 77, 42)
}

// An SQE that was used before must not leak anything into its next use.
func TestPrepResetsTheWholeEntry(t *testing.T) {
	fill := func(s *SQE) {
		*s = SQE{0xff, 0xff, 0xffff, -1, 1, 2, 3, 4, 5, 0xffff, 0xffff, 0xffffffff, 6, 7}
	}
	var used, fresh SQE
	var ts Timespec
	var msg unix.Msghdr
	buf := make([]byte, 4)
	for i, prep := range []func(*SQE){
		func(s *SQE) { s.PrepNop() },
		func(s *SQE) { s.PrepRecv(1, buf, 2) },
		func(s *SQE) { s.PrepRecvSelect(1, 2, 3, 4) },
		func(s *SQE) { s.PrepRecvMultishot(1, 2, 3) },
		func(s *SQE) { s.PrepSend(1, buf, 2) },
		func(s *SQE) { s.PrepSendTo(1, buf, 2, nil, 3) },
		func(s *SQE) { s.PrepSendZCFixed(1, buf, 2, 3, 4) },
		func(s *SQE) { s.PrepSendMsg(1, &msg, 2) },
		func(s *SQE) { s.PrepSendMsgZC(1, &msg, 2) },
		func(s *SQE) { s.PrepRecvMsg(1, &msg, 2) },
		func(s *SQE) { s.PrepRecvMsgMultishot(1, &msg, 2, 3) },
		func(s *SQE) { s.PrepAccept(1, nil, nil, 2) },
		func(s *SQE) { s.PrepAcceptMultishot(1, 2) },
		func(s *SQE) { s.PrepAcceptDirect(1, nil, nil, 2, 3) },
		func(s *SQE) { s.PrepAcceptMultishotDirect(1, 2) },
		func(s *SQE) { s.PrepConnect(1, nil, 2) },
		func(s *SQE) { s.PrepShutdown(1, 2) },
		func(s *SQE) { s.PrepClose(1) },
		func(s *SQE) { s.PrepCloseDirect(1) },
		func(s *SQE) { s.PrepSocket(1, 2, 3, 4) },
		func(s *SQE) { s.PrepSocketDirect(1, 2, 3, 4, 5) },
		func(s *SQE) { s.PrepSocketDirectAlloc(1, 2, 3, 4) },
		func(s *SQE) { s.PrepSocketUnsent(1) },
		func(s *SQE) { s.PrepRead(1, buf, 2) },
		func(s *SQE) { s.PrepReadFixed(1, buf, 2, 3) },
		func(s *SQE) { s.PrepReadv(1, nil, 2) },
		func(s *SQE) { s.PrepReadMultishot(1, 2, 3) },
		func(s *SQE) { s.PrepSplice(1, 2, 3, 4, 5, 6) },
		func(s *SQE) { s.PrepFilesUpdate(nil, 1) },
		func(s *SQE) { s.PrepWaitid(1, 2, nil, 3, 4) },
		func(s *SQE) { s.PrepCancel(1, 2) },
		func(s *SQE) { s.PrepCancelFD(1, 2) },
		func(s *SQE) { s.PrepPollAdd(1, 2) },
		func(s *SQE) { s.PrepPollMultishot(1, 2) },
		func(s *SQE) { s.PrepPollRemove(1) },
		func(s *SQE) { s.PrepPollUpdate(1, 2, 3, 4) },
		func(s *SQE) { s.PrepTimeout(&ts, 1, 2) },
		func(s *SQE) { s.PrepTimeoutRemove(1, 2) },
		func(s *SQE) { s.PrepTimeoutUpdate(&ts, 1, 2) },
		func(s *SQE) { s.PrepLinkTimeout(&ts, 1) },
		func(s *SQE) { s.PrepMsgRing(1, 2, 3, 4) },
	} {
		fill(&used)
		fresh = SQE{}
		prep(&used)
		prep(&fresh)
		if used != fresh {
			t.Errorf("%d: opcode %d leaves %+v", i, used.opcode, used)
		}
	}
}
