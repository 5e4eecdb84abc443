package view

import (
	"math"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/sluice-net/sluice/transport/pressure"
	"github.com/sluice-net/sluice/transport/pressure/internal/sampletest"
)

// frames returns those of n made-up moments.
func frames(n int) []Frame {
	var b Builder
	var out []Frame
	for _, m := range sampletest.Moments(n) {
		out = append(out, b.Next(m.Snapshot, m.Accounts))
	}
	return out
}

func conns(f Frame) map[int]Conn {
	out := map[int]Conn{}
	for _, c := range f.Conns {
		out[c.FD] = c
	}
	return out
}

func TestTheNarrowestPlaceIsThatOfTheVerdict(t *testing.T) {
	last := conns(frames(6)[5])
	for fd, want := range map[int]struct{ out, in int }{
		sampletest.Healthy:  {-1, -1},
		sampletest.Idle:     {-1, -1},
		sampletest.SlowPeer: {Peer, -1},
		sampletest.Paused:   {-1, App},
		sampletest.Starved:  {-1, Buffer},
		sampletest.SmallBuf: {Queue, -1},
		sampletest.Upstream: {Net, -1}, // mixed: where most of the time went
	} {
		if c := last[fd]; c.Out.Narrowest != want.out || c.In.Narrowest != want.in {
			t.Errorf("fd %d is narrowest at %d and %d, not at %d and %d", fd,
				c.Out.Narrowest, c.In.Narrowest, want.out, want.in)
		}
	}
}

func TestWhereTheCauseIsUnknownTheFullestPlaceIsNarrowest(t *testing.T) {
	l := Lane{Cause: pressure.CauseUnknown}
	for i, fill := range [Width]float64{0, math.NaN(), 0.2, 0.9, 0.3, 0} {
		l.Places[i].Fill = fill
	}
	if got := narrowest(l, true); got != Queue {
		t.Errorf("is place %d", got)
	}
}

func TestAFrameSaysHowManyAreHeld(t *testing.T) {
	all := frames(6)
	if n := all[0].Held(); n != 0 {
		t.Errorf("%d are held before there is any account", n)
	}
	if n := all[1].Held(); n != 0 {
		t.Errorf("%d are held among the healthy", n)
	}
	if n := all[5].Held(); n != 5 {
		t.Errorf("%d are held of five", n)
	}
}

func TestPlacesAreFilledFromTheSnapshot(t *testing.T) {
	last := conns(frames(6)[5])
	slow := last[sampletest.SlowPeer]
	for i, want := range [Width]float64{0, 1, 0, 1, 0, 1} {
		if got := slow.Out.Places[i].Fill; got != want {
			t.Errorf("%s of the slow peer is filled to %g, not %g", Places[i], got, want)
		}
	}
	if up := last[sampletest.Upstream]; up.Out.Places[Buffer].Known() {
		t.Error("the buffer of a connection without a flow page is known")
	}
	if got := slow.Out.Places[Buffer].Text; got !=
		"transport's buffer 120K of 64K, writing paused" {
		t.Errorf("the buffer is described as %q", got)
	}
	if !slow.Out.Paused || slow.In.Paused || !last[sampletest.Paused].In.Paused {
		t.Error("pauses are not seen")
	}
}

func TestASocketThatWasNeverConnectedIsNotAConnection(t *testing.T) {
	var b Builder
	f := b.Next(&pressure.Snapshot{Conns: []pressure.Conn{{FD: 3, State: "close"}}}, nil)
	if len(f.Conns) != 0 {
		t.Errorf("shows %+v", f.Conns)
	}
}

func TestWithoutAFlowPageAStarvedConnectionIsStillSeen(t *testing.T) {
	var s pressure.Shares
	if p := receiveBuffers(nil, s); p.Known() {
		t.Errorf("nothing is known, and it is filled to %g", p.Fill)
	}
	s[pressure.CauseBuffers] = 0.5
	if p := receiveBuffers(nil, s); p.Fill != 0.5 {
		t.Errorf("is filled to %g", p.Fill)
	}
}

func TestRatesAreBytesASecond(t *testing.T) {
	c := conns(frames(6)[1])[sampletest.Healthy]
	want := float64(64<<10) / sampletest.Interval.Seconds()
	if c.Out.Rate != want || c.In.Rate != want {
		t.Errorf("rates are %g and %g, not %g", c.Out.Rate, c.In.Rate, want)
	}
}

func TestResourcesAreWrongOnlyWhenSomethingHappened(t *testing.T) {
	all := frames(6)
	for _, r := range all[1].Resources {
		if r.Wrong != "" {
			t.Errorf("%s %s is wrong on a healthy server: %s", r.Kind, r.Name, r.Wrong)
		}
	}
	got := map[string]string{}
	for _, r := range all[5].Resources {
		got[r.Kind] = r.Wrong
	}
	for kind, want := range map[string]string{
		"loop": "", "ring": "1× no receive buffer", "listener": "", "unix": "",
		"udp": "1 dropped", "pipe": "full",
	} {
		if wrong, there := got[kind]; !there || wrong != want {
			t.Errorf("the %s is wrong in that %q, not %q", kind, wrong, want)
		}
	}
}

func TestAFullAcceptQueueAndOverflowsAreWrong(t *testing.T) {
	r := listener(pressure.Listener{Queue: 5, Backlog: 4}, pressure.Listener{})
	if r.Wrong != "accept queue full" || r.Fill != 1 {
		t.Errorf("the listener is %+v", r)
	}
	v := ring(pressure.Ring{CQEntries: 8, Overflowing: true}, pressure.Ring{})
	if v.Wrong != "completions wait outside the CQ" {
		t.Errorf("the ring is %+v", v)
	}
	busy := loop(pressure.Loop{Busy: time.Second}, pressure.Loop{})
	if busy.Wrong != "hardly ever waits" || busy.Fill != 1 {
		t.Errorf("the loop is %+v", busy)
	}
}

func TestListenersAreFoundByAddress(t *testing.T) {
	at := netip.MustParseAddrPort
	listeners := []pressure.Listener{{Local: at("[::]:80")}, {Local: at("127.0.0.1:80")},
		{Local: at("10.0.0.1:443")}}
	for local, want := range map[string]string{
		"127.0.0.1:80": "127.0.0.1:80", "127.0.0.2:80": "[::]:80", "10.0.0.2:443": "",
		"[::ffff:127.0.0.1]:80": "127.0.0.1:80", "1.2.3.4:5": "",
	} {
		if got := ListenerOf(listeners, at(local)); got != want {
			t.Errorf("%s came in on %q, not %q", local, got, want)
		}
	}
}

func TestUnits(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1023: "1023", 1024: "1K",
		1229: "1.2K", 65536: "64K", 1048575: "1M", 3565158: "3.4M", 1 << 30: "1G"} {
		if got := Bytes(n); got != want {
			t.Errorf("%d is written %q, not %q", n, got, want)
		}
	}
	if n := 12 << 20; strconv.IntSize == 64 {
		if got := Bytes(n * 1024); got != "12G" {
			t.Errorf("%d is written %q", n*1024, got)
		}
	}
	for d, want := range map[time.Duration]string{5: "5ns", 840 * time.Microsecond: "840µs",
		1200 * time.Microsecond: "1.2ms", 40 * time.Millisecond: "40ms",
		3500 * time.Millisecond: "3.5s", time.Minute: "60s"} {
		if got := Short(d); got != want {
			t.Errorf("%d is written %q, not %q", d, got, want)
		}
	}
	if Rate(0) != "" || Rate(2048) != "2K/s" || Percent(0.001) != "<1 %" ||
		Percent(0.42) != "42 %" || Percent(0) != "0 %" {
		t.Error("rates or shares are written wrongly")
	}
}
