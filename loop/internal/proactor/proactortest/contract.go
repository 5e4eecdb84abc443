package proactortest

import (
	"errors"
	"slices"
	"syscall"
	"time"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

var contractTests = []test{
	{name: "WhatIsOverAtOnceCompletesInTheNextWait", run: instantCompletes},
	{name: "NothingCompletesInsideSubmitOrCancel", run: nothingInsideSubmit},
	{name: "CompletionsComeInOrder", run: instantsInOrder},
	{name: "SubmitInsideComplete", run: submitInsideComplete},
	{name: "EndlessResubmissionDoesNotHoldUpWait", run: endlessResubmission},
	{name: "MisuseOfOperationsPanics", run: misusePanics},
	{name: "WaitIsNeverEarly", run: waitNotEarly},
	{name: "WaitZeroDoesNotSleep", run: waitZero},
	{name: "WakeBeforeWaitIsKept", run: wakeBefore},
	{name: "BadDescriptorsFail", run: badDescriptors},
	{name: "StatsCount", run: statsCount},
	{name: "CloseWithOperationsInFlight", run: closeInFlight},
	{name: "WaitAfterCloseIsErrClosed", run: waitAfterClose},
	{name: "CloseWithoutWait", run: func(r *rig) { r.closeEngine() }},
	{name: "SocketsAreDescribed", run: describe},
	{name: "OptionsAreKept", run: optionsKept},
}

func instantCompletes(r *rig) {
	p := r.instant().submit()
	if !p.op.InFlight() || len(p.got) > 0 {
		r.Fatal("not in flight after Submit")
	}
	r.turn(waitTimeout)
	if p.op.InFlight() || int(p.last().res) != instantResult || p.last().more {
		r.Fatalf("after Wait: in flight %v, %+v", p.op.InFlight(), p.got)
	}
}

func nothingInsideSubmit(r *rig) {
	client, server := r.pair(proactor.IPv4)
	r.send(client, []byte("x")).want(1)
	recv := r.probe(proactor.Recv, server)
	recv.op.Buf = make([]byte, 8)
	recv.submit() // the byte is there already: Complete checks that we are in Wait
	cancelled := r.probe(proactor.RecvAny, client).submit()
	r.Cancel(&cancelled.op)
	if !recv.op.InFlight() || !cancelled.op.Cancelling() {
		r.Fatal("completed before Wait")
	}
	recv.want(1)
	cancelled.wantErrno(syscall.ECANCELED)
}

func instantsInOrder(r *rig) {
	var order []int
	for i := range 100 {
		p := r.instant()
		p.then = func(*probe) { order = append(order, i) }
		p.submit()
	}
	r.until("all are done", func() bool { return len(order) == 100 })
	if !slices.IsSorted(order) {
		r.Fatal("completed out of order:", order)
	}
}

func submitInsideComplete(r *rig) {
	second := r.instant()
	first := r.instant()
	first.then = func(p *probe) {
		if len(p.got) < 3 {
			p.submit()
			if len(p.got) == 2 {
				second.submit()
			}
		}
	}
	first.submit().want(instantResult)
	second.want(instantResult)
	if len(first.got) != 3 || len(second.got) != 1 {
		r.Fatalf("%d and %d completions, want 3 and 1", len(first.got), len(second.got))
	}
}

func endlessResubmission(r *rig) {
	p := r.instant()
	stop := false
	p.then = func(p *probe) {
		if !stop {
			p.submit()
		}
	}
	p.submit()
	client, server := r.pair(proactor.IPv4) // events get their turn too
	recv := r.probe(proactor.RecvAny, server).submit()
	r.send(client, []byte("turn")).want(4)
	r.same(recv.receive(4), []byte("turn"))
	stop = true
	p.want(instantResult)
}

func misusePanics(r *rig) {
	p := r.instant().submit()
	r.panics("submitting twice", func() { r.Submit(&p.op) })
	p.want(instantResult)
	r.panics("no handler", func() { r.Submit(&proactor.Op{Code: proactor.Poll}) })
	r.panics("no code", func() { r.Submit(&proactor.Op{Handler: p}) })
	for _, code := range []proactor.Code{proactor.Recv, proactor.Send} {
		empty := r.probe(code, 0)
		r.panics("empty "+code.String(), func() { r.Submit(&empty.op) })
	}
	many := r.probe(proactor.SendMsg, 0)
	many.op.Bufs = make([][]byte, proactor.IOVMax+1)
	r.panics("too many buffers", func() { r.Submit(&many.op) })
}

func waitNotEarly(r *rig) {
	for _, d := range []time.Duration{time.Microsecond, 300 * time.Microsecond,
		1500 * time.Microsecond, 5 * time.Millisecond} {
		for range 3 {
			// Wait may return with nothing, but what the loop builds on it is this.
			start := r.Now()
			for r.Now()-start < d {
				r.turn(max(d-(r.Now()-start), 0))
			}
			if late := r.Now() - start - d; late > time.Second {
				r.Errorf("Wait(%v) was %v late", d, late)
			}
		}
	}
	early := 0
	for range 20 {
		start := r.Now()
		r.turn(2 * time.Millisecond)
		if r.Now()-start < 2*time.Millisecond {
			early++
		}
	}
	if early > 5 { // signals of the runtime interrupt some
		r.Errorf("%d of 20 Waits were early", early)
	}
}

func waitZero(r *rig) {
	for range 100 {
		r.turn(0)
	}
	if got := r.Stats().Waits; got > 0 {
		r.Errorf("%d Waits may have slept", got)
	}
}

func wakeBefore(r *rig) {
	r.Wake()
	r.Wake()
	start := r.Now()
	r.turn(waitTimeout)
	if r.Now()-start > waitTimeout/2 {
		r.Error("Wait slept although it was woken before")
	}
	r.settle() // and it does not remember it for ever
	waits := r.Stats().Waits
	start = r.Now()
	for r.Now()-start < 50*time.Millisecond {
		r.turn(50 * time.Millisecond)
	}
	if n := r.Stats().Waits - waits; n > 20 {
		r.Errorf("%d turns in 50 ms: it spins", n)
	}
}

func badDescriptors(r *rig) {
	for code := proactor.Accept; code <= proactor.Waitid; code++ {
		for _, fd := range []int{noDescriptor, -1} {
			p := r.probe(code, fd)
			p.op.Mask = 1
			p.about.Addr = addrs[proactor.IPv4]
			switch code {
			case proactor.Recv, proactor.Send:
				p.op.Buf = make([]byte, 8)
			case proactor.SendMsg:
				p.op.Bufs = [][]byte{{1}}
			}
			if p.submit(); p.done().res >= 0 {
				r.Errorf("%v of a bad descriptor: %+v", code, p.got)
			}
		}
	}
	if err := r.CloseFD(noDescriptor); !errors.Is(err, syscall.EBADF) {
		r.Errorf("CloseFD: %v", err)
	}
}

func statsCount(r *rig) {
	before := r.Stats()
	for range 10 {
		r.instant().submit()
	}
	r.settle()
	after := r.Stats()
	if n := after.Submitted - before.Submitted; n != 10 {
		r.Errorf("%d submitted, want 10", n)
	}
	if n := after.Completed - before.Completed; n != 10 {
		r.Errorf("%d completed, want 10", n)
	}
}

func closeInFlight(r *rig) {
	client, server := r.pair(proactor.IPv4)
	listener, _ := r.listen(proactor.IPv4)
	r.accept(listener)
	r.probe(proactor.RecvAny, server).submit()
	r.probe(proactor.RecvAny, client).submit()
	r.send(client, pattern(16<<20))
	r.settle()
	count := 0
	for _, p := range r.probes {
		p.then = func(*probe) { count++ }
	}
	r.instant().submit() // never begun
	r.closeEngine()
	if count > 0 {
		r.Errorf("%d completions inside Close", count)
	}
}

func waitAfterClose(r *rig) {
	r.closeEngine()
	if err := r.Wait(0); !errors.Is(err, proactor.ErrClosed) {
		r.Errorf("Wait after Close: %v", err)
	}
	r.Wake()
}

func describe(r *rig) {
	for _, family := range []proactor.Family{proactor.IPv4, proactor.IPv6, proactor.Unix} {
		for _, kind := range []proactor.Kind{proactor.Stream, proactor.Datagram} {
			fd := r.socket(family, kind)
			f, k, err := r.Describe(fd)
			if f != family || k != kind || err != nil {
				r.Errorf("family %d kind %d is described as %d, %d, %v", family, kind, f, k, err)
			}
			if addr, err := r.RemoteAddr(fd); !errors.Is(err, syscall.ENOTCONN) {
				r.Errorf("peer of an unconnected socket: %v, %v", addr, err)
			}
		}
	}
}

func optionsKept(r *rig) {
	fd := r.socket(proactor.IPv6, proactor.Stream)
	for _, option := range []proactor.Option{proactor.NoDelay, proactor.ReuseAddr,
		proactor.ReusePort, proactor.KeepAlive, proactor.V6Only, proactor.LingerReset,
		proactor.BindNoPort} {
		for _, value := range []int{1, 0} {
			r.must(r.SetOption(fd, option, value))
			if got, err := r.GetOption(fd, option); (got != 0) != (value != 0) || err != nil {
				r.Errorf("option %d set to %d is %d, %v", option, value, got, err)
			}
		}
	}
	r.must(r.SetOption(fd, proactor.SendBuffer, 16<<10))
	if got, err := r.GetOption(fd, proactor.SendBuffer); got < 16<<10 || err != nil {
		r.Errorf("send buffer %d, %v", got, err)
	}
}
