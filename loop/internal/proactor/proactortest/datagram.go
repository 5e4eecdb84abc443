package proactortest

import (
	"slices"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

var datagramTests = []test{
	{name: "DatagramsHaveTheirSender", run: datagramSender},
	{name: "DatagramsIPv6", run: datagramIPv6},
	{name: "EmptyDatagrams", run: emptyDatagrams},
	{name: "DatagramTooLongIsTruncated", run: truncatedDatagram,
		cfg: proactor.Config{BufferSize: 512}},
	{name: "DatagramsInOrder", run: datagramsInOrder},
	{name: "ConnectedDatagrams", run: connectedDatagrams},
	{name: "DatagramsUnix", run: datagramsUnix},
	{name: "CancelledRecvMsgLosesNothing", run: recvMsgCancel},
}

// udp makes a bound socket and returns its address.
func (r *rig) udp(family proactor.Family, addr transport.Addr) (int, transport.Addr) {
	r.Helper()
	fd := r.socket(family, proactor.Datagram)
	r.must(r.Bind(fd, addr))
	got, err := r.LocalAddr(fd)
	r.must(err)
	return fd, got
}

// sendTo sends one datagram.
func (r *rig) sendTo(fd int, to transport.Addr, data string) {
	r.Helper()
	p := r.probe(proactor.SendMsg, fd)
	p.about.Addr = to
	p.op.Bufs = [][]byte{[]byte(data)}
	p.submit().want(len(data))
}

// datagrams waits until p has n datagrams and returns their completions.
func (p *probe) datagrams(n int) []result {
	p.r.Helper()
	p.r.until("the datagrams are there", func() bool {
		return len(p.got) >= n || !p.op.InFlight()
	})
	if len(p.got) != n || !p.last().more {
		p.r.Fatalf("%d completions, want %d; last %+v", len(p.got), n, p.last())
	}
	return p.got
}

func datagramSender(r *rig) { datagramsOf(r, proactor.IPv4) }
func datagramIPv6(r *rig)   { datagramsOf(r, proactor.IPv6) }

func datagramsOf(r *rig, family proactor.Family) {
	to, toAddr := r.udp(family, addrs[family])
	a, aAddr := r.udp(family, addrs[family])
	b, bAddr := r.udp(family, addrs[family])
	recv := r.probe(proactor.RecvMsg, to).submit()
	r.sendTo(a, toAddr, "from a")
	r.sendTo(b, toAddr, "and b")
	got := recv.datagrams(2)
	if got[0].addr != aAddr || got[1].addr != bAddr || got[0].size != 6 || got[1].size != 5 {
		r.Errorf("datagrams of %v and %v: %+v", aAddr, bAddr, got)
	}
	r.same(recv.data, []byte("from aand b"))
}

func emptyDatagrams(r *rig) {
	to, toAddr := r.udp(proactor.IPv4, addrs[proactor.IPv4])
	from, fromAddr := r.udp(proactor.IPv4, addrs[proactor.IPv4])
	recv := r.probe(proactor.RecvMsg, to).submit()
	r.sendTo(from, toAddr, "")
	r.sendTo(from, toAddr, "x")
	r.sendTo(from, toAddr, "")
	for i, got := range recv.datagrams(3) {
		if int(got.res) != i%2 || got.size != i%2 || got.addr != fromAddr || got.truncated {
			r.Errorf("datagram %d: %+v", i, got)
		}
	}
}

func truncatedDatagram(r *rig) {
	to, toAddr := r.udp(proactor.IPv4, addrs[proactor.IPv4])
	from, fromAddr := r.udp(proactor.IPv4, addrs[proactor.IPv4])
	recv := r.probe(proactor.RecvMsg, to).submit()
	long := string(pattern(5000))
	r.sendTo(from, toAddr, "short")
	r.sendTo(from, toAddr, long)
	r.sendTo(from, toAddr, "short")
	got := recv.datagrams(3)
	if !got[1].truncated || got[1].size == 0 || got[1].size > 512 ||
		got[1].full != 5000 || got[1].addr != fromAddr {
		r.Errorf("long datagram: %+v", got[1])
	}
	for _, i := range []int{0, 2} {
		if got[i].truncated || got[i].size != 5 || got[i].full != 5 {
			r.Errorf("short datagram: %+v", got[i])
		}
	}
	r.same(recv.data, []byte("short"+long[:got[1].size]+"short"))
}

func datagramsInOrder(r *rig) {
	to, toAddr := r.udp(proactor.IPv4, addrs[proactor.IPv4])
	from, _ := r.udp(proactor.IPv4, addrs[proactor.IPv4])
	want := pattern(10_000)
	pieces := cut(want, 60)
	for _, piece := range pieces {
		r.sendTo(from, toAddr, string(piece))
	}
	recv := r.probe(proactor.RecvMsg, to).submit()
	recv.datagrams(len(pieces))
	r.same(recv.data, want)
}

func connectedDatagrams(r *rig) {
	a, aAddr := r.udp(proactor.IPv4, addrs[proactor.IPv4])
	b, bAddr := r.udp(proactor.IPv4, addrs[proactor.IPv4])
	for fd, peer := range map[int]transport.Addr{a: bAddr, b: aAddr} {
		p := r.probe(proactor.Connect, fd)
		p.about.Addr = peer
		p.submit().want(0)
	}
	recv := r.probe(proactor.RecvMsg, b).submit()
	r.sendTo(a, transport.Addr{}, "one")
	r.send(a, []byte("two")).want(3)
	if got := recv.datagrams(2); got[0].addr != aAddr || got[1].addr != aAddr {
		r.Errorf("datagrams of %v: %+v", aAddr, got)
	}
	r.same(recv.data, []byte("onetwo"))
	r.Cancel(&recv.op)
	recv.done()
	r.closeFD(b)
	r.send(a, []byte("x")).want(1) // nobody is there: the next call is told
	refused := r.probe(proactor.RecvMsg, a).submit()
	refused.wantErrno(syscall.ECONNREFUSED)
}

func datagramsUnix(r *rig) {
	addr := addrs[proactor.Unix]
	to, toAddr := r.udp(proactor.Unix, transport.Addr{Path: addr.Path + "-to"})
	from, fromAddr := r.udp(proactor.Unix, transport.Addr{Path: addr.Path + "-from"})
	nameless := r.socket(proactor.Unix, proactor.Datagram)
	recv := r.probe(proactor.RecvMsg, to).submit()
	r.sendTo(from, toAddr, "named")
	r.sendTo(nameless, toAddr, "nameless")
	got := recv.datagrams(2)
	if got[0].addr != fromAddr || !got[1].addr.IsZero() {
		r.Errorf("datagrams of %v and nobody: %+v", fromAddr, got)
	}
}

func recvMsgCancel(r *rig) {
	to, toAddr := r.udp(proactor.IPv4, addrs[proactor.IPv4])
	from, _ := r.udp(proactor.IPv4, addrs[proactor.IPv4])
	recv := r.probe(proactor.RecvMsg, to).submit()
	recv.then = func(p *probe) {
		if p.op.More {
			r.Cancel(&p.op)
		}
	}
	for range 10 {
		r.sendTo(from, toAddr, "x")
	}
	for len(recv.data) < 10 {
		before := len(recv.data)
		recv.wantErrno(syscall.ECANCELED)
		if len(recv.data) > before || before == 0 {
			r.settle()
		}
		if len(recv.data) < 10 {
			recv.submit()
			r.until("another is there", func() bool { return len(recv.data) > before })
		}
	}
	if n := len(recv.data); n != 10 {
		r.Errorf("%d datagrams came of 10", n)
	}
	if slices.ContainsFunc(recv.got, func(g result) bool { return g.more && g.size != 1 }) {
		r.Errorf("datagrams: %+v", recv.got)
	}
}
