package record

import (
	"fmt"
	"time"

	"github.com/sluice-net/sluice/transport/pressure"
	"github.com/sluice-net/sluice/transport/pressure/internal/perfetto"
)

// tracks is how many thread numbers a connection has: one for each kind of wait
// and one for its events.
const tracks = 8

// eventTrack is the track of a connection's events, the last of its numbers.
const eventTrack = tracks - 1

// A tracer turns a recording into the events of a trace. Counters belong to the
// process; waits are slices, each kind on a track of its own, since they overlap.
type tracer struct {
	r      *Recording
	out    []perfetto.Event
	names  map[uint64]string
	index  map[uint64]int // of connections, in the order in which they were seen
	tracks map[int]bool   // that have their name
}

func (r *Recording) traceEvents() []perfetto.Event {
	t := &tracer{r: r, names: map[uint64]string{}, index: map[uint64]int{},
		tracks: map[int]bool{}}
	t.out = append(t.out, perfetto.ProcessName(r.PID, r.Process))
	for _, m := range r.Moments {
		t.counters(m.Snapshot)
		t.shares(m)
	}
	for _, w := range r.Waits() {
		t.wait(w)
	}
	for _, e := range r.Events {
		t.event(e)
	}
	return t.out
}

// at returns a time since the recording began.
func (t *tracer) at(d time.Duration) perfetto.Micros {
	return perfetto.Micros(max(0, d-t.r.Begin()))
}

// name returns what a connection is called in all its tracks.
func (t *tracer) name(c pressure.Conn) string {
	name, known := t.names[c.Cookie]
	if !known {
		name = fmt.Sprintf("fd %d %s-%s", c.FD, c.Local, c.Remote)
		t.names[c.Cookie], t.index[c.Cookie] = name, len(t.index)
	}
	return name
}

func (t *tracer) counter(at time.Duration, name string, values map[string]any) {
	t.out = append(t.out, perfetto.Event{Name: name, Phase: perfetto.Counter, Time: t.at(at),
		PID: t.r.PID, Args: values})
}

func (t *tracer) counters(s *pressure.Snapshot) {
	for _, c := range s.Conns {
		name := t.name(c)
		out := map[string]any{"send queue": c.Queued}
		in := map[string]any{"receive queue": c.Rmem}
		if c.Transport != nil {
			out["transport buffer"] = c.Transport.Buffered
			in["held back"] = c.Transport.HeldBytes
		}
		t.counter(s.Time, name+" out", out)
		t.counter(s.Time, name+" in", in)
		t.counter(s.Time, name+" windows", map[string]any{"peer window": c.PeerWindow,
			"own window": c.OwnWindow})
	}
	for _, r := range s.Rings {
		values := map[string]any{"CQ ready": r.CQReady, "SQ pending": r.SQPending}
		for _, b := range r.Buffers {
			values[fmt.Sprintf("buffers free %d", b.Group)] = b.Available
		}
		t.counter(s.Time, fmt.Sprintf("ring fd %d", r.FD), values)
	}
	for _, l := range s.Listeners {
		t.counter(s.Time, fmt.Sprintf("listener %s", l.Local),
			map[string]any{"to accept": l.Queue})
	}
	for _, d := range s.Datagrams {
		t.counter(s.Time, fmt.Sprintf("udp fd %d %s", d.FD, d.Local),
			map[string]any{"receive queue": d.Rmem, "dropped": d.Drops})
	}
	for _, p := range s.Pipes {
		t.counter(s.Time, fmt.Sprintf("pipe fd %d", p.FD), map[string]any{"slots": p.Used})
	}
}

// shares are counters in per cent, drawn at the beginning of their time.
func (t *tracer) shares(m Moment) {
	for _, a := range m.Accounts {
		name, known := t.names[a.Cookie]
		if !known {
			continue
		}
		t.counter(a.From, name+" out held %", percents(a.Send.Shares))
		t.counter(a.From, name+" in held %", percents(a.Receive.Shares))
	}
}

// percents has all causes but idle: the rest up to 100 is idle.
func percents(s pressure.Shares) map[string]any {
	out := map[string]any{}
	for c := pressure.CauseApp; int(c) < pressure.Causes; c++ {
		out[c.String()] = float64(int(s[c]*1000+0.5)) / 10
	}
	return out
}

// track returns the number of a track of a connection, and names it at first.
func (t *tracer) track(cookie uint64, kind int, what string) int {
	tid := (t.index[cookie]+1)*tracks + kind
	name, known := t.names[cookie]
	if !known {
		tid, name, what = 1, "process", "events"
	}
	if !t.tracks[tid] {
		t.tracks[tid] = true
		t.out = append(t.out, perfetto.ThreadName(t.r.PID, tid, name+" "+what)...)
	}
	return tid
}

func (t *tracer) wait(w Wait) {
	tid := t.track(w.Cookie, int(w.Kind), w.Kind.String())
	t.out = append(t.out, perfetto.Event{Name: w.Kind.String(), Phase: perfetto.Complete,
		Category: "wait", Time: t.at(w.From), Duration: perfetto.Micros(w.To - w.From),
		PID: t.r.PID, TID: tid})
}

// event makes an instant of an event. Edges of the peer's window are slices
// already.
func (t *tracer) event(e pressure.Event) {
	if e.Kind == pressure.EventPeerClosed || e.Kind == pressure.EventPeerOpened {
		return
	}
	tid := t.track(e.Cookie, eventTrack, "events")
	t.out = append(t.out, perfetto.Event{Name: e.Kind.String(), Phase: perfetto.Instant,
		Category: "event", Scope: "t", Time: t.at(e.Time), PID: t.r.PID, TID: tid,
		Args: map[string]any{"value": e.Value, "limit": e.Limit}})
}
