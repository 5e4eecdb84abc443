package proactortest

import (
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

var cancelTests = []test{
	{name: "CancelBeforeWait", run: cancelBeforeWait},
	{name: "CancelInFlight", run: cancelInFlight},
	{name: "CancelOfIdleDoesNothing", run: cancelIdle},
	{name: "CancelTwiceCompletesOnce", run: cancelTwice},
	{name: "CancelledIsInFlightUntilItCompletes", run: cancelThenSubmit},
	{name: "CancelInsideItsOwnComplete", run: cancelInside},
	{name: "CancelOfAnotherInTheSameBatch", run: cancelOther},
	{name: "CancelOfASendMidwayIsItsCount", run: cancelSendMidway},
	{name: "CancelledRecvAnyLosesNothing", run: cancelLosesNothing},
	{name: "CancelOfAccept", run: cancelAccept},
	{name: "CancelOfAcceptInsideComplete", run: cancelAcceptInside},
	{name: "CloseAfterCancelAndReuseOfTheNumber", run: closeAndReuse},
}

// blocked returns an operation of each code that cannot complete by itself.
func (r *rig) blocked() []*probe {
	r.Helper()
	var out []*probe
	_, a := r.pair(proactor.IPv4)
	recv := r.probe(proactor.Recv, a)
	recv.op.Buf = make([]byte, 10)
	_, b := r.pair(proactor.IPv4)
	out = append(out, recv, r.probe(proactor.RecvAny, b))
	_, c := r.pair(proactor.IPv4)
	poll := r.probe(proactor.Poll, c)
	poll.op.Mask = 1
	listener, _ := r.listen(proactor.IPv4)
	udp := r.socket(proactor.IPv4, proactor.Datagram)
	r.must(r.Bind(udp, addrs[proactor.IPv4]))
	return append(out, poll, r.probe(proactor.Accept, listener), r.probe(proactor.RecvMsg, udp))
}

func cancelBeforeWait(r *rig) {
	for _, p := range r.blocked() {
		p.submit()
		r.Cancel(&p.op)
		p.wantErrno(syscall.ECANCELED)
		if len(p.got) != 1 {
			r.Errorf("%v completed %d times", p.op.Code, len(p.got))
		}
	}
}

func cancelInFlight(r *rig) {
	for range 2 { // the second time round the descriptors are known
		for _, p := range r.blocked() {
			for range 3 {
				p.submit()
				r.settle()
				r.Cancel(&p.op)
				p.wantErrno(syscall.ECANCELED)
			}
			if len(p.got) != 3 {
				r.Errorf("%v completed %d times", p.op.Code, len(p.got))
			}
		}
	}
}

func cancelIdle(r *rig) {
	p := r.instant()
	r.Cancel(&p.op)
	r.settle()
	p.submit().want(instantResult)
	r.Cancel(&p.op)
	r.settle()
	p.submit().want(instantResult)
	if len(p.got) != 2 {
		r.Errorf("completed %d times", len(p.got))
	}
}

func cancelTwice(r *rig) {
	for _, p := range r.blocked() {
		p.submit()
		r.settle()
		r.Cancel(&p.op)
		r.Cancel(&p.op)
		p.wantErrno(syscall.ECANCELED)
		r.Cancel(&p.op)
		r.settle()
		if len(p.got) != 1 {
			r.Errorf("%v completed %d times", p.op.Code, len(p.got))
		}
	}
}

func cancelThenSubmit(r *rig) {
	for _, p := range r.blocked() {
		p.submit()
		r.settle()
		r.Cancel(&p.op)
		r.panics("submitting a cancelled "+p.op.Code.String(), func() { r.Submit(&p.op) })
		p.wantErrno(syscall.ECANCELED)
	}
}

func cancelInside(r *rig) {
	client, server := r.pair(proactor.IPv4)
	recv := r.probe(proactor.RecvAny, server)
	recv.then = func(p *probe) { r.Cancel(&p.op) }
	recv.submit()
	r.send(client, []byte("x")).want(1)
	recv.wantErrno(syscall.ECANCELED)
	r.same(recv.data, []byte("x"))
}

// cancelOther has two operations ready in one batch; whichever is first cancels
// the other, which completes once more, for good.
func cancelOther(r *rig) {
	clients, servers := r.pairs(proactor.IPv4, 2)
	a := r.probe(proactor.RecvAny, servers[0]).submit()
	b := r.probe(proactor.RecvAny, servers[1]).submit()
	r.settle()
	a.then = func(*probe) { r.Cancel(&b.op) }
	b.then = func(*probe) { r.Cancel(&a.op) }
	for _, fd := range clients {
		if n, err := r.TrySend(fd, [][]byte{[]byte("x")}); n != 1 || err != nil {
			r.Fatal(n, err)
		}
	}
	r.until("both have ended", func() bool { return !a.op.InFlight() && !b.op.InFlight() })
	for _, p := range []*probe{a, b} {
		ends := 0
		for _, got := range p.got {
			if !got.more {
				ends++
			}
		}
		if ends != 1 || p.last().res != -int32(syscall.ECANCELED) {
			r.Errorf("completions: %+v", p.got)
		}
	}
}

func cancelSendMidway(r *rig) {
	for _, code := range []proactor.Code{proactor.Send, proactor.SendMsg} {
		client, server := r.pair(proactor.IPv4)
		want := pattern(32 << 20)
		send := r.probe(code, client)
		if send.op.Buf = want; code == proactor.SendMsg {
			send.op.Bufs = cut(want, 100)
		}
		send.submit()
		r.settle()
		r.Cancel(&send.op)
		sent := int(send.done().res)
		if sent <= 0 || sent >= len(want) {
			r.Fatalf("%v: cancelled with result %d", code, sent)
		}
		r.closeFD(client)
		recv := r.probe(proactor.RecvAny, server).submit()
		recv.want(0)
		r.same(recv.data, want[:sent])
	}
}

// cancelLosesNothing stops and starts to receive while bytes arrive.
func cancelLosesNothing(r *rig) {
	client, server := r.pair(proactor.IPv4)
	recv := r.probe(proactor.RecvAny, server).submit()
	want := pattern(300_000)
	rest := cut(want, 90)
	for i, piece := range rest {
		r.send(client, piece).want(len(piece))
		if i%3 == 1 {
			r.Cancel(&recv.op)
			recv.wantErrno(syscall.ECANCELED)
			before := len(recv.got)
			r.settle()
			if len(recv.got) != before {
				r.Fatal("received after the end")
			}
			recv.submit()
		}
	}
	r.same(recv.receive(len(want)), want)
}

func cancelAccept(r *rig) {
	listener, addr := r.listen(proactor.IPv4)
	accept := r.accept(listener)
	r.settle()
	r.Cancel(&accept.op)
	accept.wantErrno(syscall.ECANCELED)
	r.connect(proactor.IPv4, addr).want(0) // waits in the queue
	r.settle()
	if len(accept.got) != 1 {
		r.Fatalf("accepted after the end: %+v", accept.got)
	}
	accept.submit()
	r.until("it is accepted", func() bool { return len(accept.got) == 2 })
	if !accept.last().more {
		r.Errorf("accept: %+v", accept.last())
	}
}

// cancelAcceptInside stops at each connection: those in the queue must come
// later, none may get lost.
func cancelAcceptInside(r *rig) {
	const n = 5
	listener, addr := r.listen(proactor.IPv4)
	for range n {
		r.connect(proactor.IPv4, addr).want(0)
	}
	count := 0
	accept := r.probe(proactor.Accept, listener)
	accept.then = func(p *probe) {
		if p.op.Res >= 0 {
			r.fds = append(r.fds, int(p.op.Res))
			count++
			r.Cancel(&p.op)
		}
	}
	for count < n {
		accept.submit().wantErrno(syscall.ECANCELED)
	}
	if count != n {
		r.Errorf("%d connections accepted, want %d", count, n)
	}
}

// closeAndReuse takes the same numbers again and again: what was known of a
// descriptor must not outlive it.
func closeAndReuse(r *rig) {
	for range 20 {
		client, server := r.pair(proactor.IPv4)
		recv := r.probe(proactor.RecvAny, server).submit()
		send := r.send(client, []byte("again"))
		r.same(recv.receive(5), []byte("again"))
		send.want(5)
		r.Cancel(&recv.op)
		recv.wantErrno(syscall.ECANCELED)
		r.closeFD(client)
		r.closeFD(server)
	}
}
