package proactortest

import (
	"errors"
	"slices"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

var batchTests = []test{
	{name: "BatchIsSentInOrder", run: batchInOrder},
	{name: "BatchStopsAtWhatFails", run: batchStops},
	{name: "BatchStopsWhereThereIsNoRoom", run: batchFull},
	{name: "ConnectDatagramChoosesWhoIsHeard", run: connectDatagram},
	{name: "LongestDatagramFits", run: longestDatagram},
}

// batchOf makes datagrams to one address.
func batchOf(to transport.Addr, texts ...string) []proactor.Packet {
	var batch []proactor.Packet
	for _, text := range texts {
		batch = append(batch, proactor.Packet{Data: []byte(text), Addr: to})
	}
	return batch
}

func batchInOrder(r *rig) {
	to, toAddr := r.udp(proactor.IPv4, addrs[proactor.IPv4])
	from, fromAddr := r.udp(proactor.IPv4, addrs[proactor.IPv4])
	recv := r.probe(proactor.RecvMsg, to).submit()
	pieces := make([]string, proactor.BatchMax+10)
	for i := range pieces {
		pieces[i] = string(rune('!' + i))
	}
	n, err := r.TrySendMany(from, batchOf(toAddr, pieces...))
	if n != proactor.BatchMax || err != nil {
		r.Fatalf("TrySendMany: %d, %v", n, err)
	}
	got := recv.datagrams(n)
	if got[0].addr != fromAddr {
		r.Errorf("from %v", got[0].addr)
	}
	want := ""
	for _, piece := range pieces[:n] {
		want += piece
	}
	r.same(recv.data, []byte(want))
	if n, err := r.TrySendMany(from, nil); n != 0 || err != nil {
		r.Errorf("TrySendMany of nothing: %d, %v", n, err)
	}
}

func batchStops(r *rig) {
	to, toAddr := r.udp(proactor.IPv4, addrs[proactor.IPv4])
	from, _ := r.udp(proactor.IPv4, addrs[proactor.IPv4])
	recv := r.probe(proactor.RecvMsg, to).submit()
	batch := batchOf(toAddr, "a", string(make([]byte, 70_000)), "", "b")
	n, err := r.TrySendMany(from, batch)
	if n != 1 || !errors.Is(err, syscall.EMSGSIZE) {
		r.Errorf("TrySendMany with one that is too long: %d, %v", n, err)
	}
	n, err = r.TrySendMany(from, batch[2:])
	if n != 2 || err != nil {
		r.Errorf("TrySendMany of the rest: %d, %v", n, err)
	}
	if got := recv.datagrams(3); got[1].size != 0 {
		r.Errorf("%+v", got)
	}
	r.same(recv.data, []byte("ab"))
}

func batchFull(r *rig) {
	path := addrs[proactor.Unix].Path
	to, toAddr := r.udp(proactor.Unix, transport.Addr{Path: path + "-full"})
	from := r.socket(proactor.Unix, proactor.Datagram)
	r.must(r.ConnectDatagram(from, toAddr))
	batch := batchOf(transport.Addr{}, slices.Repeat([]string{"x"}, proactor.BatchMax)...)
	sent := 0
	for {
		n, err := r.TrySendMany(from, batch)
		r.must(err)
		if sent += n; n == 0 {
			break
		}
		if sent > 10_000 {
			r.Fatal("there is always room")
		}
	}
	room := r.probe(proactor.Poll, from)
	room.op.Mask = 4 // POLLOUT
	room.submit()
	r.settle()
	if len(room.got) > 0 {
		r.Errorf("writable without room: %+v", room.got)
	}
	recv := r.probe(proactor.RecvMsg, to).submit()
	r.until("there is room", func() bool { return len(room.got) > 0 })
	r.Cancel(&room.op)
	recv.datagrams(sent)
	if n, err := r.TrySendMany(from, batch[:1]); n != 1 || err != nil {
		r.Errorf("TrySendMany with room: %d, %v", n, err)
	}
}

func connectDatagram(r *rig) {
	a, aAddr := r.udp(proactor.IPv4, addrs[proactor.IPv4])
	b, bAddr := r.udp(proactor.IPv4, addrs[proactor.IPv4])
	stranger, _ := r.udp(proactor.IPv4, addrs[proactor.IPv4])
	r.must(r.ConnectDatagram(a, bAddr))
	if got, err := r.RemoteAddr(a); got != bAddr || err != nil {
		r.Errorf("peer %v, %v, want %v", got, err, bAddr)
	}
	recv := r.probe(proactor.RecvMsg, a).submit()
	r.sendTo(stranger, aAddr, "not for you")
	r.sendTo(b, aAddr, "for you")
	recv.datagrams(1)
	r.same(recv.data, []byte("for you"))
	if err := r.ConnectDatagram(a, transport.Addr{Path: "x"}); err == nil {
		r.Error("connected IPv4 to a path")
	}
}

func longestDatagram(r *rig) {
	to, toAddr := r.udp(proactor.IPv4, addrs[proactor.IPv4])
	from, _ := r.udp(proactor.IPv4, addrs[proactor.IPv4])
	recv := r.probe(proactor.RecvMsg, to).submit()
	want := pattern(65507)
	r.sendTo(from, toAddr, string(want))
	if got := recv.datagrams(1); got[0].truncated {
		r.Error("truncated")
	}
	r.same(recv.data, want)
}
