package proactortest

import (
	"bytes"
	"net/netip"
	"slices"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

var groupTests = []test{
	{name: "GroupArrivesAsItsDatagrams", run: groupApart},
	{name: "GroupArrivesInGroups", run: groupTogether},
	{name: "GroupStopsAtWhatFails", run: groupRefused},
	{name: "UnixSocketsKnowNoGroups", run: groupUnix},
	{name: "ErrorQueueSaysWhoAnswered", run: errorQueue},
	{name: "ErrorQueueIPv6", run: errorQueue6},
}

// group is size bytes at a time of data, to an address.
func group(to transport.Addr, data []byte, size int) proactor.Packet {
	return proactor.Packet{Data: data, Addr: to, Segment: size}
}

// mustSend sends packets, all of them.
func (r *rig) mustSend(fd int, packets ...proactor.Packet) {
	r.Helper()
	if n, err := r.TrySendMany(fd, packets); n != len(packets) || err != nil {
		r.Fatalf("TrySendMany: %d of %d, %v", n, len(packets), err)
	}
}

// groups turns the option on that a group can be sent with, or says what is
// missing.
func (r *rig) groups(fd int, options ...proactor.Option) {
	r.Helper()
	if _, err := r.GetOption(fd, proactor.Segmentation); err != nil {
		r.Skipf("needs UDP_SEGMENT (Linux 4.18): %v", err)
	}
	for _, o := range options {
		if err := r.SetOption(fd, o, 1); err != nil {
			r.Skipf("needs UDP_GRO (Linux 5.0): %v", err)
		}
	}
}

func groupApart(r *rig) {
	for _, family := range []proactor.Family{proactor.IPv4, proactor.IPv6} {
		to, toAddr := r.udp(family, addrs[family])
		from, fromAddr := r.udp(family, addrs[family])
		r.groups(from)
		recv := r.probe(proactor.RecvMsg, to).submit()
		data := pattern(1000*proactor.SegmentsMax - 100)
		r.mustSend(from, group(toAddr, []byte("abcde"), 2), group(toAddr, data, 1000),
			proactor.Packet{Data: []byte("alone"), Addr: toAddr})
		got := recv.datagrams(3 + proactor.SegmentsMax + 1)
		for i, g := range got {
			want := 1000
			switch {
			case i < 2:
				want = 2
			case i == 2:
				want = 1
			case i == 2+proactor.SegmentsMax:
				want = 900
			case i == len(got)-1:
				want = 5
			}
			if g.size != want || g.addr != fromAddr || g.segment != 0 || g.truncated {
				r.Errorf("datagram %d: %+v, want %d bytes", i, g, want)
			}
		}
		r.same(recv.data, slices.Concat([]byte("abcde"), data, []byte("alone")))
	}
}

// groupTogether receives with the option on: the owner gets pieces of one sender,
// and can tell the datagrams apart.
func groupTogether(r *rig) {
	to, toAddr := r.udp(proactor.IPv4, addrs[proactor.IPv4])
	from, fromAddr := r.udp(proactor.IPv4, addrs[proactor.IPv4])
	other, otherAddr := r.udp(proactor.IPv4, addrs[proactor.IPv4])
	r.groups(to, proactor.Coalesce)
	recv := r.probe(proactor.RecvMsg, to)
	recv.about.Coalesced = true
	recv.submit()
	data := pattern(50_050)
	r.mustSend(from, group(toAddr, data, 1000))
	r.mustSend(other, proactor.Packet{Data: []byte("other"), Addr: toAddr})
	r.mustSend(from, proactor.Packet{Addr: toAddr})
	r.receive(recv, len(data)+5, 51+1+1)
	var all []byte
	rest := recv.data
	for _, g := range recv.got {
		if g.addr == otherAddr {
			if string(rest[:g.size]) != "other" {
				r.Errorf("%+v: %q", g, rest[:g.size])
			}
		} else if g.addr != fromAddr || g.segment != 0 && g.segment != 1000 || g.full != g.size {
			r.Errorf("%+v", g)
		} else {
			all = append(all, rest[:g.size]...)
		}
		rest = rest[g.size:]
	}
	if !bytes.Equal(all, data) {
		r.Errorf("%d bytes, not the %d that were sent", len(all), len(data))
	}
}

// receive waits until p has n bytes, in so many datagrams.
func (r *rig) receive(p *probe, n, datagrams int) {
	r.Helper()
	count := func() (k int) {
		for _, g := range p.got {
			k += (&proactor.Packet{Data: make([]byte, g.size), Segment: g.segment}).Count()
		}
		return k
	}
	r.until("all have come", func() bool { return count() >= datagrams })
	if count() != datagrams || len(p.data) != n {
		r.Fatalf("%d datagrams, %d bytes: %+v", count(), len(p.data), p.got)
	}
}

// groupRefused sends a group that goes nowhere; what is in front of it goes.
func groupRefused(r *rig) {
	to, toAddr := r.udp(proactor.IPv4, addrs[proactor.IPv4])
	from, _ := r.udp(proactor.IPv4, addrs[proactor.IPv4])
	r.groups(from)
	recv := r.probe(proactor.RecvMsg, to).submit()
	batch := []proactor.Packet{{Data: []byte("in front"), Addr: toAddr},
		group(transport.Addr{}, []byte("abcd"), 2), group(toAddr, []byte("efgh"), 3)}
	n, err := r.TrySendMany(from, batch)
	if n != 1 || err == nil {
		r.Errorf("TrySendMany of a group without destination: %d, %v", n, err)
	}
	r.mustSend(from, batch[2])
	recv.datagrams(3)
	r.same(recv.data, []byte("in frontefgh"))
}

func groupUnix(r *rig) {
	fd := r.socket(proactor.Unix, proactor.Datagram)
	if _, err := r.GetOption(fd, proactor.Segmentation); err == nil {
		r.Error("a Unix socket has UDP_SEGMENT")
	}
	if err := r.SetOption(fd, proactor.Coalesce, 1); err == nil {
		r.Error("a Unix socket has UDP_GRO")
	}
}

func errorQueue(r *rig)  { errorQueueOf(r, proactor.IPv4, proactor.RecvErr, 3, 3) }
func errorQueue6(r *rig) { errorQueueOf(r, proactor.IPv6, proactor.RecvErr6, 1, 4) }

// errorQueueOf sends to where nobody is, from a socket without a peer.
func errorQueueOf(r *rig, family proactor.Family, option proactor.Option, kind, code uint8) {
	to, toAddr := r.udp(family, addrs[family])
	r.closeFD(to)
	from, _ := r.udp(family, addrs[family])
	if q, ok := r.TakeError(from); ok {
		r.Errorf("an error before there was one: %+v", q)
	}
	r.must(r.SetOption(from, option, 1))
	recv := r.probe(proactor.RecvMsg, from).submit()
	r.mustSend(from, proactor.Packet{Data: []byte("anybody?"), Addr: toAddr})
	recv.wantErrno(syscall.ECONNREFUSED)
	q, ok := r.TakeError(from)
	want := proactor.QueuedError{Errno: syscall.ECONNREFUSED, Dest: toAddr, Type: kind,
		Code: code, V6: family == proactor.IPv6, Offender: localOf[family]}
	if !ok || q != want {
		r.Errorf("%v %+v, want %+v", ok, q, want)
	}
	if q, ok := r.TakeError(from); ok {
		r.Errorf("one more: %+v", q)
	}
	// Too long for a packet, but not for the field that says how long it is: that
	// is found late, and gets into the queue too.
	n, err := r.TrySendMany(from, batchOf(toAddr, string(make([]byte, 65_530))))
	if n != 0 || err == nil {
		r.Errorf("sent 65,530 bytes: %d, %v", n, err)
	}
	if q, ok := r.TakeError(from); !ok || !q.Local || q.Errno != syscall.EMSGSIZE {
		r.Errorf("of a call that failed: %v, %+v", ok, q)
	}
}

var localOf = map[proactor.Family]netip.Addr{
	proactor.IPv4: netip.MustParseAddr("127.0.0.1"),
	proactor.IPv6: netip.IPv6Loopback(),
}
