package pressure

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"
	"time"
)

var peerAddress = netip.MustParseAddrPort("127.0.0.1:5000")

// at returns a snapshot of one connection.
func at(ms int, c Conn) *Snapshot {
	c.FD, c.Cookie, c.Remote = 7, 77, peerAddress
	return &Snapshot{
		Time:  time.Duration(ms) * time.Millisecond,
		Conns: []Conn{c},
		Loops: []Loop{{ID: 1, RingFD: 3}},
	}
}

func TestSharesSumToOne(t *testing.T) {
	const seed = 5
	random := rand.New(rand.NewPCG(seed, seed))
	n := func(limit int) int { return random.IntN(limit) }
	for range 200 {
		var snapshots []*Snapshot
		for i := range 5 {
			c := Conn{
				NotSent: n(2) * n(5000), PeerWindow: n(5000), OutQueue: n(9000), MSS: 1000,
				InQueue: n(2) * n(5000), Queued: n(9000), SndBuf: 8000, Rmem: n(100), RcvBuf: 200,
				NoSpace: n(2) == 0, OutOfOrder: n(2) == 0, BytesReceived: uint64(i * n(5000)),
				RwndLimited:   time.Duration(n(100)) * time.Millisecond,
				SndbufLimited: time.Duration(n(100)) * time.Millisecond,
			}
			if n(2) == 0 {
				c.Transport = &Transport{
					Buffered: n(100), Sending: n(10), ReadingPaused: n(2) == 0,
					StarvedTime: time.Duration(n(1000)) * time.Millisecond, Starved: n(2) == 0,
				}
			}
			snapshots = append(snapshots, at(10+i*20, c))
		}
		for _, a := range integrate(snapshots) {
			for _, side := range []Side{a.Send, a.Receive} {
				if math.Abs(side.Shares.Sum()-1) > 1e-9 {
					t.Fatalf("seed %d: shares %v sum to %v", seed, side.Shares, side.Shares.Sum())
				}
			}
		}
	}
}

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		name   string
		shares map[Cause]float64
		want   Cause
	}{
		{"nothing known", nil, CauseIdle},
		{"hardly waits", map[Cause]float64{CauseIdle: 0.91, CausePeer: 0.09}, CauseIdle},
		{"leads", map[Cause]float64{CauseIdle: 0.5, CausePeer: 0.3, CauseNet: 0.2}, CausePeer},
		{"none leads", map[Cause]float64{CausePeer: 0.5, CauseNet: 0.5}, CauseMixed},
		{"all", map[Cause]float64{CauseUnknown: 1}, CauseUnknown},
	} {
		var shares Shares
		for cause, share := range c.shares {
			shares[cause] = share
		}
		if got := shares.Verdict(); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestSendCauses(t *testing.T) {
	waiting := &Transport{Buffered: 100}
	sending := &Transport{Buffered: 100, Sending: 100}
	for _, c := range []struct {
		name string
		conn Conn
		loop Loop
		ring Ring
		want Cause
	}{
		{"nothing to send", Conn{OutQueue: 10}, Loop{}, Ring{}, CauseIdle},
		{"window closed", Conn{NotSent: 9, OutQueue: 9, MSS: 5}, Loop{}, Ring{}, CausePeer},
		{"probing", Conn{NotSent: 9, OutQueue: 9, PeerWindow: 99, Probes: 1}, Loop{}, Ring{},
			CausePeer},
		{"cwnd", Conn{NotSent: 9, OutQueue: 29, PeerWindow: 99, MSS: 5}, Loop{}, Ring{}, CauseNet},
		{"not begun", Conn{NotSent: 9, OutQueue: 9, PeerWindow: 99}, Loop{}, Ring{}, CauseUnknown},
		{"no space", Conn{OutQueue: 9, NoSpace: true, Transport: sending}, Loop{}, Ring{},
			CauseSndBuf},
		{"no space long ago", Conn{NoSpace: true}, Loop{}, Ring{}, CauseIdle},
		{"full", Conn{OutQueue: 9, Queued: 90, SndBuf: 100}, Loop{}, Ring{}, CauseSndBuf},
		{"not handed over", Conn{Transport: waiting}, Loop{TurnStart: 1}, Ring{}, CauseLoop},
		{"in this very turn", Conn{Transport: waiting}, Loop{TurnStart: time.Second - 1}, Ring{},
			CauseIdle},
		{"turn goes on", Conn{Transport: sending}, Loop{TurnStart: time.Millisecond}, Ring{},
			CauseLoop},
		{"ring stuck", Conn{Transport: sending}, Loop{}, Ring{SQPending: 1}, CauseRing},
		{"taken, not yet seen", Conn{Transport: sending}, Loop{}, Ring{}, CauseIdle},
	} {
		v := scene{conn: &c.conn, loop: &c.loop, ring: &c.ring, at: time.Second}
		if got := sendCause(v); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestReceiveCauses(t *testing.T) {
	open, paused := &Transport{}, &Transport{ReadingPaused: true}
	for _, c := range []struct {
		name string
		conn Conn
		loop Loop
		ring Ring
		late lateness
		want Cause
	}{
		{"nothing", Conn{}, Loop{}, Ring{}, lateness{}, CauseIdle},
		{"paused, nothing came", Conn{Transport: paused}, Loop{}, Ring{}, lateness{}, CauseIdle},
		{"paused", Conn{InQueue: 1, Transport: paused}, Loop{}, Ring{}, lateness{}, CauseApp},
		{"starved", Conn{Transport: &Transport{Starved: true}}, Loop{}, Ring{}, lateness{},
			CauseBuffers},
		{"ENOBUFS", Conn{InQueue: 1}, Loop{}, Ring{}, lateness{starved: true}, CauseBuffers},
		{"came just now", Conn{InQueue: 1}, Loop{}, Ring{}, lateness{}, CauseIdle},
		{"nobody reads", Conn{InQueue: 1}, Loop{}, Ring{}, lateness{stale: true}, CauseApp},
		{"read too slowly", Conn{InQueue: 1, Rmem: 60, RcvBuf: 100}, Loop{}, Ring{}, lateness{},
			CauseApp},
		{"loop busy", Conn{InQueue: 1, Transport: open}, Loop{TurnStart: 1}, Ring{}, lateness{},
			CauseLoop},
		{"loop asleep", Conn{InQueue: 1, Transport: open}, Loop{}, Ring{}, lateness{}, CauseIdle},
		{"not told", Conn{InQueue: 1, Transport: open}, Loop{}, Ring{}, lateness{stale: true},
			CauseRing},
		{"overflow", Conn{InQueue: 1, Transport: open}, Loop{}, Ring{Overflowing: true},
			lateness{}, CauseRing},
		{"hole", Conn{OutOfOrder: true}, Loop{}, Ring{}, lateness{}, CauseNet},
	} {
		v := scene{conn: &c.conn, loop: &c.loop, ring: &c.ring, at: time.Second}
		if got := receiveCause(v, c.late); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// What the kernel accumulates is exact, whatever the ends of the interval show.
func TestDurationsGoBeforeMoments(t *testing.T) {
	accounts := integrate([]*Snapshot{
		at(100, Conn{}),
		at(200, Conn{RwndLimited: 30 * time.Millisecond, SndbufLimited: 20 * time.Millisecond}),
	})
	if len(accounts) != 1 {
		t.Fatalf("%d accounts", len(accounts))
	}
	want := Shares{CauseIdle: 0.5, CausePeer: 0.3, CauseSndBuf: 0.2}
	if got := accounts[0].Send.Shares; got != want {
		t.Errorf("shares %v, want %v", got, want)
	}
}

func TestTakeBeginsAnew(t *testing.T) {
	var a Accountant
	a.Add(at(10, Conn{BytesAcked: 5}))
	a.Add(at(20, Conn{BytesAcked: 9}))
	if got := a.Take(); len(got) != 1 || got[0].Send.Bytes != 4 || got[0].Samples != 1 {
		t.Errorf("first %+v", got)
	}
	if got := a.Take(); len(got) != 0 {
		t.Errorf("nothing new, and %+v", got)
	}
	a.Add(at(15, Conn{})) // earlier: ignored
	a.Add(at(30, Conn{BytesAcked: 10}))
	got := a.Take()
	if len(got) != 1 || got[0].Send.Bytes != 1 || got[0].From != 20*time.Millisecond {
		t.Errorf("second %+v", got)
	}
}

// A recording is processed as if it were live.
func TestPlainDataSurvivesJSON(t *testing.T) {
	s := at(10, Conn{State: "established", Transport: &Transport{Buffered: 5}})
	s.Level = LevelSnapshot
	s.Counts = Counts{EventUDPDrop: 3}
	s.Rings = []Ring{{FD: 3, Buffers: []BufferRing{{1, 2, 3}}}}
	check := func(in, out any) {
		t.Helper()
		text, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, out); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		if got := reflect.ValueOf(out).Elem().Interface(); !reflect.DeepEqual(got, in) {
			t.Errorf("%s\nbecame %+v", text, got)
		}
	}
	check(*s, &Snapshot{})
	check(Event{Kind: EventPeerOpened, Value: 5, Local: peerAddress}, &Event{})
	check(Account{FD: 7, Remote: peerAddress, Send: Side{Verdict: CauseMixed}}, &Account{})
	check(Finding{Name: findPunts, Severity: Critical}, &Finding{})
	check(Histogram{Kind: HistogramSojourn}, &Histogram{})
	check(Probing{Name: "snap", Level: LevelEdges | LevelRing, Status: ProbeExpired}, &Probing{})
}
