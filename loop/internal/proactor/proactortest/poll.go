package proactortest

import (
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// The events of poll(2).
const (
	pollIn  = 0x1
	pollOut = 0x4
	pollHup = 0x10
)

var pollTests = []test{
	{name: "PollIsLevelTriggered", run: pollLevel},
	{name: "PollWritable", run: pollWritable},
	{name: "PollTwiceOnOneDescriptor", run: pollTwice},
	{name: "PollSeesTheEnd", run: pollEnd},
	{name: "PollOnceCompletesOnce", run: pollOnce},
}

func pollLevel(r *rig) {
	client, server := r.pair(proactor.IPv4)
	poll := r.probe(proactor.Poll, server)
	poll.op.Mask = pollIn
	poll.submit()
	r.settle()
	if len(poll.got) > 0 {
		r.Fatalf("readable out of nothing: %+v", poll.got)
	}
	r.send(client, []byte("x")).want(1)
	r.until("it completed thrice", func() bool { return len(poll.got) >= 3 })
	for _, got := range poll.got {
		if !got.more || got.res&pollIn == 0 {
			r.Fatalf("poll: %+v", got)
		}
	}
	recv := r.probe(proactor.Recv, server)
	recv.op.Buf = make([]byte, 8)
	recv.submit().want(1)
	r.settle()
	n := len(poll.got)
	r.settle()
	if len(poll.got) != n {
		r.Error("readable though everything was read")
	}
	r.send(client, []byte("x")).want(1)
	r.until("it completed again", func() bool { return len(poll.got) > n })
	r.Cancel(&poll.op)
	poll.wantErrno(syscall.ECANCELED)
	n = len(poll.got)
	r.settle()
	if len(poll.got) != n {
		r.Error("completed after the end")
	}
}

func pollWritable(r *rig) {
	client, server := r.pair(proactor.IPv4)
	want := pattern(8 << 20)
	sent := 0
	for zero := 0; zero < 3; {
		n, err := r.TrySend(client, [][]byte{want[sent:]})
		r.must(err)
		if sent += n; n == 0 {
			zero++
			r.settle()
		}
	}
	poll := r.probe(proactor.Poll, client)
	poll.op.Mask = pollOut
	poll.submit()
	r.settle()
	if len(poll.got) > 0 {
		r.Fatalf("writable though nothing fits: %+v", poll.got)
	}
	recv := r.probe(proactor.RecvAny, server).submit()
	r.until("it is writable", func() bool { return len(poll.got) > 0 })
	if got := poll.got[0]; got.res&pollOut == 0 || !got.more {
		r.Errorf("poll: %+v", got)
	}
	recv.receive(sent)
}

func pollTwice(r *rig) {
	client, server := r.pair(proactor.IPv4)
	in, out := r.probe(proactor.Poll, server), r.probe(proactor.Poll, server)
	in.op.Mask, out.op.Mask = pollIn, pollOut
	in.submit()
	out.submit()
	r.until("it is writable", func() bool { return len(out.got) > 0 })
	if len(in.got) > 0 {
		r.Fatalf("readable out of nothing: %+v", in.got)
	}
	r.Cancel(&out.op)
	out.wantErrno(syscall.ECANCELED)
	r.send(client, []byte("x")).want(1)
	r.until("it is readable", func() bool { return len(in.got) > 0 })
	if got := in.got[0]; got.res&pollIn == 0 || got.res&pollOut != 0 {
		r.Errorf("poll: %+v", got)
	}
}

func pollEnd(r *rig) {
	client, server := r.pair(proactor.IPv4)
	poll := r.probe(proactor.Poll, server)
	poll.op.Mask = pollIn
	poll.submit()
	r.settle()
	r.reset(client)
	r.until("it completed", func() bool { return len(poll.got) > 0 })
	if got := poll.got[0]; got.res&pollHup == 0 {
		r.Errorf("poll: %+v", got)
	}
}

// pollOnce: it ends by itself, and can be submitted again from its handler's caller.
func pollOnce(r *rig) {
	client, server := r.pair(proactor.IPv4)
	poll := r.probe(proactor.Poll, server)
	poll.op.Mask, poll.op.Once = pollIn, true
	poll.submit()
	r.settle()
	if len(poll.got) > 0 {
		r.Fatalf("readable out of nothing: %+v", poll.got)
	}
	r.send(client, []byte("x")).want(1)
	for i := 1; i <= 3; i++ {
		r.until("it completed", func() bool { return len(poll.got) == i })
		if got := poll.got[i-1]; got.more || got.res&pollIn == 0 || poll.op.InFlight() {
			r.Fatalf("poll: %+v", got)
		}
		r.settle()
		if len(poll.got) != i {
			r.Fatalf("it completed again: %+v", poll.got)
		}
		poll.submit()
	}
	r.until("it completed", func() bool { return len(poll.got) == 4 })
	recv := r.probe(proactor.Recv, server)
	recv.op.Buf = make([]byte, 8)
	recv.submit().want(1)
	poll.submit()
	r.Cancel(&poll.op)
	r.until("it is cancelled", func() bool { return len(poll.got) == 5 })
	if got := poll.got[4]; got.more || got.res != -int32(syscall.ECANCELED) {
		r.Errorf("poll: %+v", got)
	}
}
