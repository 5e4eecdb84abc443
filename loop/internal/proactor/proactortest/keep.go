package proactortest

import (
	"bytes"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

var keepTests = []test{
	{name: "SendOnceDoesNotWait", run: sendOnce},
	{name: "ASendOnceThatIsShortEndsTheWait", run: shortEndsWait,
		cfg: proactor.Config{Entries: 4}},
	{name: "KeptBuffersAreLeftAlone", run: keptBuffers,
		cfg: proactor.Config{BufferSize: 4096, BuffersMin: 2, BuffersMax: 4}},
	{name: "AtMostHalfOfTheBuffersAreKept", run: keptHalf,
		cfg: proactor.Config{BufferSize: 4096, BuffersMin: 1, BuffersMax: 8}},
	{name: "TheOnlyBufferIsNotKept", run: keptNone,
		cfg: proactor.Config{BufferSize: 4096, BuffersMin: 1, BuffersMax: 1}},
}

// sendOnce sends more than there is room for, in single attempts.
func sendOnce(r *rig) {
	client, server := r.pair(proactor.IPv4)
	r.must(r.SetOption(client, proactor.SendBuffer, 64<<10))
	want := pattern(4 << 20)
	taken := 0
	for _, code := range []proactor.Code{proactor.Send, proactor.SendMsg} {
		send := r.probe(code, client)
		for attempts := 0; ; attempts++ {
			send.op.Once, send.op.Buf, send.op.Bufs = true, want[taken:], nil
			if code == proactor.SendMsg {
				send.op.Buf, send.op.Bufs = nil, [][]byte{want[taken : taken+10], want[taken+10:]}
			}
			got := send.submit().done().res
			if got == -int32(syscall.EAGAIN) {
				break
			}
			if got <= 0 || attempts == 1000 {
				r.Fatalf("%v: result %d", code, got)
			}
			taken += int(got)
		}
	}
	if taken == 0 {
		r.Fatal("nothing was sent")
	}
	recv := r.probe(proactor.RecvAny, server).submit()
	r.same(recv.receive(taken), want[:taken])
}

func shortEndsWait(r *rig) {
	endsWait(r, func(client int) *probe {
		r.must(r.SetOption(client, proactor.SendBuffer, 64<<10))
		send := r.probe(proactor.Send, client)
		send.op.Buf, send.op.Once, send.op.Lazy = pattern(8<<20), true, true
		return send.submit()
	})
}

// keeper keeps every buffer that it may.
func (r *rig) keeper(fd int) (recv *probe, kept map[uint16][]byte) {
	kept = map[uint16][]byte{}
	recv = r.probe(proactor.RecvAny, fd)
	recv.then = func(p *probe) {
		if len(p.op.Data) == 0 || !p.op.Keepable {
			return
		}
		if kept[p.op.Buffer] != nil {
			r.Errorf("buffer %d was delivered and is kept", p.op.Buffer)
		}
		p.op.Keep, kept[p.op.Buffer] = true, p.op.Data
	}
	return recv.submit(), kept
}

// keptBuffers keeps some of the buffers, and all others are received into meanwhile.
func keptBuffers(r *rig) {
	client, server := r.pair(proactor.IPv4)
	recv, kept := r.keeper(server)
	r.send(client, bytes.Repeat([]byte{1}, 3000)).want(3000)
	recv.receive(3000)
	if len(kept) == 0 {
		r.Fatal("no buffer could be kept")
	}
	for round := range 20 {
		recv.then = nil
		r.send(client, pattern(20_000)).want(20_000)
		recv.receive(3000 + 20_000*(round+1))
		for number, data := range kept {
			if !bytes.Equal(data, bytes.Repeat([]byte{1}, len(data))) {
				r.Fatalf("buffer %d is kept and was written to", number)
			}
		}
	}
	for number := range kept {
		r.GiveBack(number)
	}
	r.send(client, pattern(20_000)).want(20_000)
	recv.receive(3000 + 20_000*21)
}

// keptHalf keeps as many buffers as it may, gives them back, and does that again.
func keptHalf(r *rig) {
	client, server := r.pair(proactor.IPv4)
	recv, kept := r.keeper(server)
	for round := range 5 {
		r.send(client, pattern(100_000)).want(100_000)
		recv.receive(100_000 * (round + 1))
		if len(kept) == 0 || len(kept) > 4 {
			r.Fatalf("%d buffers of 8 are kept", len(kept))
		}
		for number := range kept {
			r.GiveBack(number)
			delete(kept, number)
		}
	}
	if n := r.Stats().BuffersInUse; n > 8 {
		r.Errorf("%d buffers of 8 are in use", n)
	}
}

func keptNone(r *rig) {
	client, server := r.pair(proactor.IPv4)
	recv, kept := r.keeper(server)
	r.send(client, pattern(100_000)).want(100_000)
	recv.receive(100_000)
	if len(kept) > 0 {
		r.Error("the only buffer was kept")
	}
}
