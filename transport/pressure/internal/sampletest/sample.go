// Package sampletest makes up a process for tests of what is shown: a healthy
// connection, an idle one, and one for each of the usual troubles, over a few
// seconds. It is made of nothing but the numbers below, so pictures of it can be
// compared to the letter.
package sampletest

import (
	"net/netip"
	"time"

	"github.com/sluice-net/sluice/transport/pressure"
)

// Interval is the time between two snapshots, PID that of the process.
const (
	Interval = 250 * time.Millisecond
	PID      = 4242
)

// The descriptors of the connections.
const (
	Healthy  = 7
	SlowPeer = 8
	Paused   = 9
	Starved  = 10
	SmallBuf = 11
	Idle     = 12
	Upstream = 13 // made from here, held back by the network and the peer in turn
)

// A Moment is a snapshot and the accounts of the time before it, of which the
// first moment has none.
type Moment struct {
	Snapshot *pressure.Snapshot
	Accounts []pressure.Account
}

// Moments returns n of them. The troubles begin after a third.
func Moments(n int) []Moment {
	var out []Moment
	for i := range n {
		m := Moment{Snapshot: snapshot(i, i >= n/3)}
		if i > 0 {
			m.Accounts = accounts(i, i >= n/3)
		}
		out = append(out, m)
	}
	return out
}

// Snapshots returns those of moments.
func Snapshots(moments []Moment) []*pressure.Snapshot {
	var out []*pressure.Snapshot
	for _, m := range moments {
		out = append(out, m.Snapshot)
	}
	return out
}

// Events returns some, in the span of n moments.
func Events(n int) []pressure.Event {
	at := func(i int) time.Duration { return Start + time.Duration(i)*Interval }
	return []pressure.Event{
		{Time: at(n / 3), Kind: pressure.EventPeerClosed, Cookie: SlowPeer},
		{Time: at(n/3) + Interval/2, Kind: pressure.EventNoBuffers, Cookie: Starved, Ring: 1},
		{Time: at(n / 2), Kind: pressure.EventRetransmit, Cookie: Upstream},
		{Time: at(n/2) + Interval/2, Kind: pressure.EventUDPDrop, Cookie: 20, Value: 4096,
			Limit: 4096},
		{Time: at(n-1) - Interval/4, Kind: pressure.EventPeerOpened, Cookie: SlowPeer,
			Value: int64(time.Duration(n-1-n/3)*Interval - Interval/4)},
	}
}

// Start is the time of the first moment.
const Start = time.Hour

func address(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
}

// conn is a connection in which nothing waits.
func conn(fd int, i int) pressure.Conn {
	moved := uint64(i) * 64 << 10
	return pressure.Conn{FD: fd, Cookie: uint64(fd), Local: address(8888),
		Remote: address(uint16(40000 + fd)), State: "established",
		SndBuf: 87040, PeerWindow: 65536, Cwnd: 10, MSS: 32768, SRTT: 80 * time.Microsecond,
		RcvBuf: 131072, OwnWindow: 65536, BytesAcked: moved, BytesReceived: moved,
		Transport: &pressure.Transport{FD: fd, Cookie: uint64(fd), Kind: "tcp", State: "open",
			High: 64 << 10, Low: 16 << 10, Written: moved, Read: moved}}
}

func snapshot(i int, trouble bool) *pressure.Snapshot {
	at := Start + time.Duration(i)*Interval
	s := &pressure.Snapshot{Time: at, Took: 210 * time.Microsecond, PID: PID,
		Level: pressure.LevelSnapshot | pressure.LevelEdges,
		Loops: []pressure.Loop{{ID: 1, Engine: "uring", RingFD: 4,
			Busy: at / 5, Waiting: at * 4 / 5, Turns: uint64(i) * 400}},
		Rings: []pressure.Ring{{FD: 4, ID: 1, SQEntries: 256, CQEntries: 512, CQReady: 1,
			Buffers: []pressure.BufferRing{{Group: 0, Available: 12, Size: 16}}}},
		Listeners: []pressure.Listener{{FD: 5, Cookie: 5, Local: address(8888), Backlog: 128}},
		Datagrams: []pressure.Datagram{{FD: 20, Cookie: 20, Local: address(5353),
			RcvBuf: 4096, SndBuf: 4096}},
		Unix:  []pressure.Unix{{FD: 21, Cookie: 21, Type: 1, Path: "/run/x", SndBuf: 212992}},
		Pipes: []pressure.Pipe{{FD: 22, Inode: 99, Writer: true, Used: 1, Size: 16}}}
	for fd := Healthy; fd <= Upstream; fd++ {
		s.Conns = append(s.Conns, conn(fd, i))
	}
	idle := &s.Conns[Idle-Healthy]
	idle.BytesAcked, idle.BytesReceived, idle.Transport.Written = 0, 0, 0
	up := &s.Conns[Upstream-Healthy]
	up.Local, up.Remote, up.Transport = address(51000), address(443), nil
	if trouble {
		troubled(s, i)
	}
	return s
}

func troubled(s *pressure.Snapshot, i int) {
	slow := &s.Conns[SlowPeer-Healthy]
	slow.Queued, slow.OutQueue, slow.NotSent, slow.PeerWindow = 87040, 80000, 80000, 0
	slow.NoSpace = true
	slow.Transport.Buffered, slow.Transport.Sending = 120<<10, 64<<10
	slow.Transport.WritingPaused, slow.Transport.WritingPauses = true, 1
	paused := &s.Conns[Paused-Healthy]
	paused.Rmem, paused.InQueue, paused.OwnWindow = 131072, 64000, 0
	paused.Transport.ReadingPaused, paused.Transport.ReadingPauses = true, 1
	paused.Transport.Held, paused.Transport.HeldBytes = 1, 4096
	starved := &s.Conns[Starved-Healthy]
	starved.Rmem, starved.InQueue = 20000, 9000
	starved.Transport.Starved, starved.Transport.Starvations = true, uint64(i)
	small := &s.Conns[SmallBuf-Healthy]
	small.SndBuf, small.Queued, small.OutQueue = 4608, 4608, 4096
	up := &s.Conns[Upstream-Healthy]
	up.InFlight, up.OutQueue, up.Queued, up.Retrans = 10, 40000, 50000, uint64(i)
	s.Rings[0].Edges.NoBuffers = uint64(i)
	s.Rings[0].Buffers[0].Available = 0
	s.Datagrams[0].Rmem, s.Datagrams[0].Drops = 4096, uint64(i)
	s.Pipes[0].Used = 16
	s.Listeners[0].Queue = 3
}

func accounts(i int, trouble bool) []pressure.Account {
	var out []pressure.Account
	to := Start + time.Duration(i)*Interval
	for fd := Healthy; fd <= Upstream; fd++ {
		c := conn(fd, i)
		a := pressure.Account{FD: fd, Cookie: uint64(fd), Local: c.Local, Remote: c.Remote,
			From: to - Interval, To: to, Samples: 3,
			Send: side(pressure.CauseLoop, 0.02), Receive: side(pressure.CauseLoop, 0.03)}
		a.Send.Bytes, a.Receive.Bytes = 64<<10, 64<<10
		switch fd {
		case Idle:
			a.Send, a.Receive = side(pressure.CauseIdle, 0), side(pressure.CauseIdle, 0)
		case Upstream:
			a.Local, a.Remote = address(51000), address(443)
		}
		if trouble {
			held(&a)
		}
		out = append(out, a)
	}
	return out
}

func held(a *pressure.Account) {
	switch a.FD {
	case SlowPeer:
		a.Send = side(pressure.CausePeer, 0.98)
		a.Send.Reason = "window closed for 98 % of the time"
	case Paused:
		a.Receive = side(pressure.CauseApp, 1)
		a.Receive.Reason = "reading paused for 100 % of the time"
	case Starved:
		a.Receive = side(pressure.CauseBuffers, 0.64)
		a.Receive.Reason = "no receive buffer, 12 times"
	case SmallBuf:
		a.Send = side(pressure.CauseSndBuf, 0.91)
		a.Send.Reason = "4.5K of 4.5K sent and not acknowledged"
	case Upstream:
		a.Send = side(pressure.CauseNet, 0.4)
		a.Send.Shares[pressure.CausePeer], a.Send.Shares[pressure.CauseIdle] = 0.35, 0.25
		a.Send.Verdict = pressure.CauseMixed
		a.Send.Reason = "net 40 %, peer 35 %"
	}
}

// side is one that a single cause holds back for a share of the time.
func side(c pressure.Cause, share float64) pressure.Side {
	s := pressure.Side{}
	s.Shares[pressure.CauseIdle] = 1 - share
	s.Shares[c] += share
	s.Verdict = s.Shares.Verdict()
	return s
}
