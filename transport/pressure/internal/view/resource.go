package view

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/sluice-net/sluice/transport/pressure"
)

// A Resource is what several connections share, or what is no connection.
type Resource struct {
	// Kind is one of Kinds; Name says which, with the descriptor.
	Kind string
	Name string
	FD   int
	// Fill is how full it is; NaN where it has no size.
	Fill float64
	// Text is that in numbers.
	Text string
	// Wrong says what is wrong with it since the frame before, "" if nothing is.
	Wrong string
}

// Kinds are the kinds of resources in the order in which they are shown.
var Kinds = []string{"loop", "ring", "listener", "udp", "unix", "pipe"}

// A Builder makes frames of snapshots. The zero value is ready.
type Builder struct {
	before *pressure.Snapshot
}

// Next returns the frame of the next snapshot with the accounts of the time
// before it.
func (b *Builder) Next(s *pressure.Snapshot, accounts []pressure.Account) Frame {
	f := Frame{Time: s.Time}
	byCookie := map[uint64]*pressure.Account{}
	for i := range accounts {
		byCookie[accounts[i].Cookie] = &accounts[i]
		f.Span = max(f.Span, accounts[i].To-accounts[i].From)
	}
	for _, c := range s.Conns {
		if c.State == "close" && c.Remote.Port() == 0 {
			continue // a socket that was never connected
		}
		v := connOf(c, byCookie[c.Cookie])
		v.Listener = ListenerOf(s.Listeners, c.Local)
		f.Conns = append(f.Conns, v)
	}
	before := b.before
	if before == nil {
		before = s // nothing has changed yet
	}
	f.Resources = resources(s, before)
	b.before = s
	return f
}

// ListenerOf returns the address of the listener that a connection came in on:
// the one of the same port and of the same or an unspecified address. "" if there
// is none.
func ListenerOf(listeners []pressure.Listener, local netip.AddrPort) string {
	found := ""
	for _, l := range listeners {
		if l.Local.Port() != local.Port() {
			continue
		}
		if l.Local.Addr().Unmap() == local.Addr().Unmap() {
			return l.Local.String()
		}
		if l.Local.Addr().IsUnspecified() {
			found = l.Local.String()
		}
	}
	return found
}

func resources(s, before *pressure.Snapshot) []Resource {
	var out []Resource
	for i, l := range s.Loops {
		var b pressure.Loop
		if i < len(before.Loops) && before.Loops[i].ID == l.ID {
			b = before.Loops[i]
		}
		out = append(out, loop(l, b))
	}
	for _, r := range s.Rings {
		out = append(out, ring(r, find(before.Rings, func(o pressure.Ring) bool {
			return o.FD == r.FD && o.ID == r.ID
		})))
	}
	for _, l := range s.Listeners {
		out = append(out, listener(l, find(before.Listeners,
			func(o pressure.Listener) bool { return o.Cookie == l.Cookie })))
	}
	for _, d := range s.Datagrams {
		out = append(out, datagram(d, find(before.Datagrams,
			func(o pressure.Datagram) bool { return o.Cookie == d.Cookie })))
	}
	for _, u := range s.Unix {
		out = append(out, unix(u))
	}
	for _, p := range s.Pipes {
		out = append(out, pipe(p))
	}
	return out
}

// find returns what want accepts, the zero value if there is none.
func find[T any](list []T, want func(T) bool) (none T) {
	for _, v := range list {
		if want(v) {
			return v
		}
	}
	return none
}

// grown returns by how much a counter grew since the frame before. One that was
// not there before has not grown: what it counts is of an unknown time.
func grown(now, before uint64, known bool) uint64 {
	if !known || now < before {
		return 0
	}
	return now - before
}

func loop(l, before pressure.Loop) Resource {
	busy, waiting := l.Busy-before.Busy, l.Waiting-before.Waiting
	r := Resource{Kind: "loop", FD: l.RingFD, Name: fmt.Sprintf("loop %d (%s)", l.ID, l.Engine)}
	if total := busy + waiting; total > 0 {
		r.Fill = min(max(float64(busy)/float64(total), 0), 1)
	}
	r.Text = fmt.Sprintf("busy %s, %d rounds", Percent(r.Fill), l.Turns-before.Turns)
	if r.Fill > 0.9 && busy > 10*time.Millisecond {
		r.Wrong = "hardly ever waits"
	}
	return r
}

func ring(r, before pressure.Ring) Resource {
	v := Resource{Kind: "ring", FD: r.FD, Name: fmt.Sprintf("fd %d", r.FD),
		Fill: ratio(r.CQReady, r.CQEntries),
		Text: fmt.Sprintf("CQ %d of %d, SQ %d of %d", r.CQReady, r.CQEntries, r.SQPending,
			r.SQEntries)}
	for _, b := range r.Buffers {
		v.Text += fmt.Sprintf(", group %d: %d of %d buffers free", b.Group, b.Available, b.Size)
	}
	known := before.CQEntries > 0
	now, then := r.Edges, before.Edges
	for _, c := range []struct {
		n    uint64
		what string
	}{
		{grown(now.Overflows, then.Overflows, known), "CQ full"},
		{grown(now.NoBuffers, then.NoBuffers, known), "no receive buffer"},
		{grown(now.Punts, then.Punts, known), "punted to a worker"},
	} {
		if c.n > 0 && v.Wrong == "" {
			v.Wrong = fmt.Sprintf("%d× %s", c.n, c.what)
		}
	}
	if r.Overflowing {
		v.Wrong = "completions wait outside the CQ"
	}
	return v
}

func listener(l, before pressure.Listener) Resource {
	r := Resource{Kind: "listener", FD: l.FD, Name: l.Local.String(),
		Fill: ratio(l.Queue, l.Backlog),
		Text: fmt.Sprintf("%d of %d wait to be accepted", l.Queue, l.Backlog)}
	if n := grown(l.Drops, before.Drops, before.Cookie != 0); n > 0 {
		r.Wrong = fmt.Sprintf("%d dropped", n)
	} else if l.Queue > 0 && l.Queue >= l.Backlog {
		r.Wrong = "accept queue full"
	}
	return r
}

func datagram(d, before pressure.Datagram) Resource {
	r := Resource{Kind: "udp", FD: d.FD, Name: d.Local.String(), Fill: ratio(d.Rmem, d.RcvBuf),
		Text: fmt.Sprintf("%s of %s wait to be read, %d dropped", Bytes(d.Rmem),
			Bytes(d.RcvBuf), d.Drops)}
	if d.Remote.IsValid() && d.Remote.Port() != 0 {
		r.Name += " - " + d.Remote.String()
	}
	if n := grown(d.Drops, before.Drops, before.Cookie != 0); n > 0 {
		r.Wrong = fmt.Sprintf("%d dropped", n)
	}
	return r
}

func unix(u pressure.Unix) Resource {
	r := Resource{Kind: "unix", FD: u.FD, Name: u.Path, Fill: ratio(u.Wmem, u.SndBuf),
		Text: fmt.Sprintf("%s of %s not read by the peer", Bytes(u.Wmem), Bytes(u.SndBuf))}
	if u.Listening {
		r.Fill = ratio(u.Queue, u.Backlog)
		r.Text = fmt.Sprintf("%d of %d wait to be accepted", u.Queue, u.Backlog)
	}
	if r.Name == "" {
		r.Name = fmt.Sprintf("fd %d", u.FD)
	}
	if r.Fill >= 1 {
		r.Wrong = "full"
	}
	return r
}

func pipe(p pressure.Pipe) Resource {
	end := "read end"
	if p.Writer {
		end = "write end"
	}
	r := Resource{Kind: "pipe", FD: p.FD, Name: fmt.Sprintf("fd %d, %s", p.FD, end),
		Fill: ratio(p.Used, p.Size), Text: fmt.Sprintf("%d of %d slots", p.Used, p.Size)}
	if r.Fill >= 1 {
		r.Wrong = "full"
	}
	return r
}
