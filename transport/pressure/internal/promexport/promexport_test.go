package promexport

import (
	"fmt"
	"iter"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sluice-net/sluice/transport/pressure"
	"github.com/sluice-net/sluice/transport/pressure/internal/sampletest"
)

// A fake is a source of made-up moments.
type fake struct {
	moments []sampletest.Moment
	next    int
}

func (f *fake) Snapshot() (*pressure.Snapshot, error) {
	if f.next == len(f.moments) {
		return nil, os.ErrProcessDone
	}
	f.next++
	return f.moments[f.next-1].Snapshot, nil
}

func (f *fake) Accounts() iter.Seq[pressure.Account] {
	return slices.Values(f.moments[f.next-1].Accounts)
}

func (f *fake) Lost() uint64 { return 3 }

// gather asks n times and returns the last answer's series, by name and labels.
func gather(t *testing.T, source Source, n int) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(New(source))
	out := map[string]float64{}
	for range n {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		clear(out)
		for _, f := range families {
			for _, m := range f.Metric {
				name := f.GetName()
				for _, l := range m.Label {
					name += fmt.Sprintf(" %s=%s", l.GetName(), l.GetValue())
				}
				out[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return out
}

func TestSeriesAreByListenerAndCause(t *testing.T) {
	got := gather(t, &fake{moments: sampletest.Moments(6)}, 6)
	for name, want := range map[string]float64{
		"sluice_up":                1,
		"sluice_events_lost_total": 3,
		"sluice_connections listener=127.0.0.1:8888":                                      6,
		"sluice_connections listener=outgoing":                                            1,
		"sluice_paused_connections direction=send listener=127.0.0.1:8888":                1,
		"sluice_accept_queue listener=127.0.0.1:8888":                                     3,
		"sluice_drops_total kind=udp local=127.0.0.1:5353":                                5,
		"sluice_ring_no_buffers_total ring=4":                                             5,
		"sluice_ring_buffers_free group=0 ring=4":                                         0,
		"sluice_connection_time_seconds_total cause=net direction=send listener=outgoing": 0.4,
	} {
		if v, there := got[name]; !there || v < want-1e-9 || v > want+1e-9 {
			t.Errorf("%s is %g (%t), not %g", name, v, there, want)
		}
	}
	all := 0.0
	for name, v := range got {
		if strings.HasPrefix(name, "sluice_connection_time_seconds_total") {
			all += v
		}
		if strings.Contains(name, ":40008") {
			t.Errorf("%s is about one connection", name)
		}
	}
	// Seven connections, two directions, five intervals.
	if want := 7 * 2 * 5 * sampletest.Interval.Seconds(); all < want-1e-6 || all > want+1e-6 {
		t.Errorf("the time of all causes is %g s, not %g s", all, want)
	}
}

func TestWhatAccumulatedStaysWhenTheProcessIsGone(t *testing.T) {
	got := gather(t, &fake{moments: sampletest.Moments(6)}, 8)
	if got["sluice_up"] != 0 {
		t.Error("is up")
	}
	if got["sluice_drops_total kind=udp local=127.0.0.1:5353"] != 5 {
		t.Error("forgot the drops")
	}
}

func TestACounterThatComesAndGoesNeverMakesTheSumFall(t *testing.T) {
	d := newTally()
	for _, step := range []struct {
		key, now uint64
		want     float64
	}{{1, 100, 0}, {1, 105, 5}, {2, 7, 5}, {2, 8, 6}, {1, 2, 6}, {1, 4, 8}} {
		if d.add("x", step.key, step.now); d.sums["x"] != step.want {
			t.Errorf("after %v the sum is %g", step, d.sums["x"])
		}
	}
	d.forget(map[uint64]bool{2: true})
	if len(d.last) != 1 {
		t.Errorf("remembers %v", d.last)
	}
}

func TestThereIsALimitToListeners(t *testing.T) {
	s := &pressure.Snapshot{}
	for port := range uint16(5 * ListenersMax) {
		local := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 1000+port)
		s.Listeners = append(s.Listeners, pressure.Listener{Cookie: uint64(port) + 1,
			Local: local, Queue: 1})
		s.Datagrams = append(s.Datagrams, pressure.Datagram{Cookie: 1000 + uint64(port),
			Local: local})
		s.Conns = append(s.Conns, pressure.Conn{Cookie: 2000 + uint64(port), Local: local})
	}
	got := gather(t, &fake{moments: []sampletest.Moment{{Snapshot: s}, {Snapshot: s}}}, 2)
	count := map[string]int{}
	for name := range got {
		count[strings.Fields(name)[0]]++
	}
	for _, name := range []string{"sluice_connections", "sluice_accept_queue",
		"sluice_udp_receive_queue_bytes"} {
		if count[name] != ListenersMax+1 {
			t.Errorf("%s has %d series", name, count[name])
		}
	}
	if v := got["sluice_accept_queue listener=other"]; v != 4*ListenersMax {
		t.Errorf("the rest is %g", v)
	}
}

func TestNamesAndHelpFollowTheConventions(t *testing.T) {
	problems, err := testutil.CollectAndLint(New(&fake{moments: sampletest.Moments(2)}))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

var _ Source = (*pressure.Tracer)(nil)
