package proactortest

import (
	"errors"
	"slices"
	"syscall"
	"time"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

var sendTests = []test{
	{name: "SendOfMegabytesToASlowReader", run: slowReader},
	{name: "SendMsgOfMegabytesToASlowReader", run: sendMsgSlow},
	{name: "SendMsgSkipsEmptyBuffers", run: sendMsgEmpty},
	{name: "SendMsgOfIOVMaxBuffers", run: sendMsgMany},
	{name: "SendsInOrder", run: sendsInOrder},
	{name: "LazySendsComplete", run: lazySends},
	{name: "SendUnixStream", run: sendUnix},
	{name: "SendFailsWhenThePeerIsGone", run: sendToNobody},
	{name: "BlockedSendFailsWhenThePeerResets", run: blockedSendReset},
	{name: "TrySendTakesWhatFits", run: trySend},
	{name: "EchoInsideComplete", run: echoInside},
	{name: "AWaitedSendOfAFullQueueEndsTheWait", run: waitedEndsWait,
		cfg: proactor.Config{Entries: 4}},
}

// slowReader sends what fits in no buffer and reads it in small pieces.
func slowReader(r *rig) {
	client, server := r.pair(proactor.IPv4)
	r.must(r.SetOption(client, proactor.SendBuffer, 128<<10))
	want := pattern(4 << 20)
	send := r.probe(proactor.Send, client)
	send.op.Buf = want
	send.submit()
	r.settle()
	if !send.op.InFlight() {
		r.Fatalf("nobody reads, but the send ended: %+v", send.got)
	}
	recv := r.probe(proactor.Recv, server)
	recv.op.Buf = make([]byte, 50_000)
	var got []byte
	for len(got) < len(want) {
		n := recv.submit().done().res
		if n <= 0 {
			r.Fatalf("result %d after %d bytes", n, len(got))
		}
		got = append(got, recv.op.Buf[:n]...)
	}
	r.same(got, want)
	send.want(len(want))
	if len(send.got) != 1 {
		r.Errorf("%d completions of one send", len(send.got))
	}
}

// cut cuts b in pieces of growing sizes, at most limit of them.
func cut(b []byte, limit int) [][]byte {
	var out [][]byte
	for size := 1; len(b) > 0; size += 37 {
		if len(out) == limit-1 || size > len(b) {
			size = len(b)
		}
		out = append(out, b[:size])
		b = b[size:]
	}
	return out
}

func sendMsgSlow(r *rig) {
	client, server := r.pair(proactor.IPv4)
	r.must(r.SetOption(client, proactor.SendBuffer, 128<<10))
	want := pattern(4 << 20)
	send := r.probe(proactor.SendMsg, client)
	send.op.Bufs = cut(want, 500)
	send.submit()
	r.settle()
	recv := r.probe(proactor.RecvAny, server).submit()
	r.same(recv.receive(len(want)), want)
	send.want(len(want))
}

func sendMsgEmpty(r *rig) {
	client, server := r.pair(proactor.IPv4)
	recv := r.probe(proactor.RecvAny, server).submit()
	send := r.probe(proactor.SendMsg, client)
	send.op.Bufs = [][]byte{nil, []byte("a"), {}, []byte("bc"), nil}
	send.submit().want(3)
	r.same(recv.receive(3), []byte("abc"))
	send.op.Bufs = [][]byte{nil, {}}
	send.submit().want(0)
	send.op.Bufs = nil
	send.submit().want(0)
}

func sendMsgMany(r *rig) {
	client, server := r.pair(proactor.IPv4)
	recv := r.probe(proactor.RecvAny, server).submit()
	want := pattern(proactor.IOVMax)
	send := r.probe(proactor.SendMsg, client)
	for i := range want {
		send.op.Bufs = append(send.op.Bufs, want[i:i+1])
	}
	send.submit().want(len(want))
	r.same(recv.receive(len(want)), want)
}

// sendsInOrder sends one after the other from inside Complete.
func sendsInOrder(r *rig) {
	client, server := r.pair(proactor.IPv4)
	recv := r.probe(proactor.RecvAny, server).submit()
	want := pattern(200_000)
	rest := cut(want, 1000)
	send := r.probe(proactor.Send, client)
	next := func(p *probe) {
		if len(rest) > 0 && p.op.Res >= 0 {
			p.op.Buf, rest = rest[0], rest[1:]
			p.submit()
		}
	}
	send.then = next
	next(send)
	r.same(recv.receive(len(want)), want)
	send.done()
}

func lazySends(r *rig) {
	client, server := r.pair(proactor.IPv4)
	recv := r.probe(proactor.RecvAny, server).submit()
	send := r.probe(proactor.Send, client)
	send.op.Lazy = true
	send.op.Buf = []byte("lazy")
	want := ""
	for range 50 {
		send.submit()
		want += "lazy"
		r.same(recv.receive(len(want)), []byte(want))
		if r.instant().submit().want(instantResult); send.op.InFlight() {
			r.Fatal("the send did not complete before what happened later")
		}
	}
	if len(send.got) != 50 || send.last().res != 4 {
		r.Errorf("%d completions, last %+v", len(send.got), send.last())
	}
}

func sendUnix(r *rig) {
	client, server := r.pair(proactor.Unix)
	want := pattern(1 << 20)
	send := r.send(client, want)
	recv := r.probe(proactor.RecvAny, server).submit()
	r.same(recv.receive(len(want)), want)
	send.want(len(want))
}

func sendToNobody(r *rig) {
	client, server := r.pair(proactor.IPv4)
	r.reset(server)
	r.settle()
	r.send(client, []byte("x")).wantErrno(syscall.ECONNRESET, syscall.EPIPE)
	r.send(client, []byte("x")).wantErrno(syscall.EPIPE)
	if _, err := r.TrySend(client, [][]byte{{1}}); !errors.Is(err, syscall.EPIPE) {
		r.Errorf("TrySend: %v", err)
	}
}

func blockedSendReset(r *rig) {
	client, server := r.pair(proactor.IPv4)
	send := r.send(client, pattern(32<<20))
	r.settle()
	r.reset(server)
	// It failed midway, which is told at once: the kernel tells it once.
	send.wantErrno(syscall.ECONNRESET)
	r.send(client, []byte("x")).wantErrno(syscall.EPIPE)
}

func trySend(r *rig) {
	client, server := r.pair(proactor.IPv4)
	want := pattern(8 << 20)
	recv := r.probe(proactor.RecvAny, server)
	sent := 0
	for zero := 0; zero < 3; {
		n, err := r.TrySend(client, [][]byte{nil, want[sent : sent+1], want[sent+1:]})
		r.must(err)
		if sent += n; n == 0 {
			zero++
			r.settle()
		}
	}
	if sent == 0 || sent == len(want) {
		r.Fatalf("%d bytes were taken of %d", sent, len(want))
	}
	recv.submit()
	r.same(recv.receive(sent), want[:sent])
	if n, err := r.TrySend(client, nil); n != 0 || err != nil {
		r.Errorf("TrySend of nothing: %d, %v", n, err)
	}
}

// echoInside answers from inside Complete, both ways.
func echoInside(r *rig) {
	client, server := r.pair(proactor.IPv4)
	const rounds = 200
	for _, fd := range []int{client, server} {
		send := r.probe(proactor.Send, fd)
		send.op.Buf = make([]byte, 1)
		r.probe(proactor.RecvAny, fd).submit().then = func(p *probe) {
			if p.op.Res == 1 && p.op.Data[0] < rounds {
				send.op.Buf[0] = p.op.Data[0] + 1
				send.submit()
			}
		}
	}
	r.send(client, []byte{0})
	r.until("the last answer is there", func() bool {
		for _, p := range r.probes {
			if n := len(p.data); n > 0 && p.data[n-1] == rounds {
				return true
			}
		}
		return false
	})
}

// endsWait submits the first sends, which fill the queue of an engine that has one, and
// lazy ones after them. The Wait that completes the first must not sleep: their owners may
// have to go on.
func endsWait(r *rig, first func(client int) *probe) {
	clients, _ := r.pairs(proactor.IPv4, 8)
	r.settle()
	var sends []*probe
	for i, client := range clients {
		if i < 4 {
			sends = append(sends, first(client))
			continue
		}
		lazy := r.probe(proactor.Send, client)
		lazy.op.Buf, lazy.op.Lazy = []byte("lazy"), true
		lazy.submit()
	}
	const long = 5 * time.Second
	began := r.Now()
	done := func() bool {
		return !slices.ContainsFunc(sends, func(p *probe) bool { return p.op.InFlight() })
	}
	for !done() && r.Now()-began < long {
		r.turn(long)
	}
	if took := r.Now() - began; took >= long {
		r.Errorf("it slept for %v with sends that were over", took)
	}
}

func waitedEndsWait(r *rig) {
	endsWait(r, func(client int) *probe { return r.send(client, []byte("waited for")) })
}
