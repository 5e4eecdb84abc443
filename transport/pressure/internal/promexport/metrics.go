package promexport

import (
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-net/sluice/transport/pressure"
	"github.com/sluice-net/sluice/transport/pressure/internal/view"
)

var descs []*prometheus.Desc

// describe makes a description and lists it.
func describe(name, help string, labels ...string) *prometheus.Desc {
	d := prometheus.NewDesc("sluice_"+name, help, labels, nil)
	descs = append(descs, d)
	return d
}

var (
	upDesc = describe("up", "1 while the process can be looked at.")

	lostDesc = describe("events_lost_total",
		"Events that were left out by limits of rate; the counts of events have them.")

	connsDesc = describe("connections", "TCP connections.", "listener")

	timeDesc = describe("connection_time_seconds_total",
		"Time of connections by what held them back; its sum over all causes is all of it.",
		"listener", "direction", "cause")

	bytesDesc = describe("bytes_total", "Bytes acknowledged by peers, or received.",
		"listener", "direction")

	pausedDesc = describe("paused_connections",
		"Connections whose protocol was told not to write, or that nobody reads.",
		"listener", "direction")

	bufferedDesc = describe("buffered_bytes",
		"Bytes in transports' buffers, and memory of the kernel's queues.", "listener", "place")

	queueDesc = describe("accept_queue", "Connections that wait to be accepted.", "listener")

	backlogDesc = describe("accept_queue_limit", "The backlog.", "listener")

	dropsDesc = describe("drops_total",
		"What was dropped at listeners and UDP sockets since the exporter began.",
		"kind", "local")

	udpDesc = describe("udp_receive_queue_bytes", "Memory of datagrams not read.", "local")

	eventsDesc = describe("events_total", "Events of the process by kind.", "kind")

	ringDesc = describe("ring_ready", "Completions that were not taken yet.", "ring")

	freeDesc = describe("ring_buffers_free", "Receive buffers that the kernel may take.",
		"ring", "group")

	overflowDesc = describe("ring_overflows_total", "Completions that found the CQ full.", "ring")

	puntsDesc = describe("ring_punts_total", "Requests handed to a worker thread.", "ring")

	noBuffersDesc = describe("ring_no_buffers_total", "Receives that found no buffer.", "ring")

	busyDesc = describe("loop_busy_seconds_total", "Time in callbacks.", "loop")

	waitingDesc = describe("loop_waiting_seconds_total", "Time in the kernel.", "loop")
)

func gauge(out chan<- prometheus.Metric, v float64, d *prometheus.Desc, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func counter(out chan<- prometheus.Metric, v float64, d *prometheus.Desc, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
}

// counters adds up what comes and goes with its socket or ring.
func (c *Collector) counters(s *pressure.Snapshot) {
	present := map[uint64]bool{}
	for _, l := range s.Listeners {
		present[l.Cookie] = true
		c.drops.add("listener\x00"+c.listener(l.Local.String()), l.Cookie, l.Drops)
	}
	for _, d := range s.Datagrams {
		present[d.Cookie] = true
		c.drops.add("udp\x00"+limited(c.sockets, d.Local.String()), d.Cookie, d.Drops)
	}
	c.drops.forget(present)
	rings := map[uint64]bool{}
	for _, r := range s.Rings {
		name, key := fmt.Sprint(r.FD), uint64(r.FD)
		rings[key] = true
		c.overflows.add(name, key, r.Edges.Overflows)
		c.punts.add(name, key, r.Edges.Punts)
		c.noBuffers.add(name, key, r.Edges.NoBuffers)
	}
	for _, t := range []tally{c.overflows, c.punts, c.noBuffers} {
		t.forget(rings)
	}
}

// A group is the connections of a listener.
type group struct {
	conns, pausedOut, pausedIn float64
	buffer, sending, receiving float64
}

func (c *Collector) gauges(out chan<- prometheus.Metric, s *pressure.Snapshot) {
	groups := map[string]*group{}
	for _, conn := range s.Conns {
		name := c.listener(view.ListenerOf(s.Listeners, conn.Local))
		if groups[name] == nil {
			groups[name] = &group{}
		}
		groups[name].add(conn)
	}
	for name, g := range groups {
		gauge(out, g.conns, connsDesc, name)
		gauge(out, g.pausedOut, pausedDesc, name, "send")
		gauge(out, g.pausedIn, pausedDesc, name, "receive")
		gauge(out, g.buffer, bufferedDesc, name, "transport")
		gauge(out, g.sending, bufferedDesc, name, "send queue")
		gauge(out, g.receiving, bufferedDesc, name, "receive queue")
	}
	queue, backlog, udp := map[string]int{}, map[string]int{}, map[string]int{}
	for _, l := range s.Listeners {
		queue[c.listener(l.Local.String())] += l.Queue
		backlog[c.listener(l.Local.String())] += l.Backlog
	}
	for _, d := range s.Datagrams {
		udp[limited(c.sockets, d.Local.String())] += d.Rmem
	}
	sums(out, queue, queueDesc)
	sums(out, backlog, backlogDesc)
	sums(out, udp, udpDesc)
	c.shared(out, s)
}

func sums(out chan<- prometheus.Metric, of map[string]int, d *prometheus.Desc) {
	for name, n := range of {
		gauge(out, float64(n), d, name)
	}
}

func (g *group) add(c pressure.Conn) {
	g.conns++
	g.sending += float64(c.Queued)
	g.receiving += float64(c.Rmem)
	if t := c.Transport; t != nil {
		g.buffer += float64(t.Buffered)
		if t.WritingPaused {
			g.pausedOut++
		}
		if t.ReadingPaused {
			g.pausedIn++
		}
	}
}

// shared are rings, loops and the counts of events.
func (c *Collector) shared(out chan<- prometheus.Metric, s *pressure.Snapshot) {
	for _, r := range s.Rings {
		name := fmt.Sprint(r.FD)
		gauge(out, float64(r.CQReady), ringDesc, name)
		for _, b := range r.Buffers {
			gauge(out, float64(b.Available), freeDesc, name, fmt.Sprint(b.Group))
		}
	}
	for _, l := range s.Loops {
		counter(out, l.Busy.Seconds(), busyDesc, fmt.Sprint(l.ID))
		counter(out, l.Waiting.Seconds(), waitingDesc, fmt.Sprint(l.ID))
	}
	for kind, n := range s.Counts {
		counter(out, float64(n), eventsDesc, kind.String())
	}
}

// totals sends what accumulated.
func (c *Collector) totals(out chan<- prometheus.Metric) {
	for f, seconds := range c.time {
		counter(out, seconds, timeDesc, f.listener, f.direction, f.cause)
	}
	for w, n := range c.bytes {
		counter(out, n, bytesDesc, w.listener, w.direction)
	}
	for name, n := range c.drops.sums {
		kind, local, _ := strings.Cut(name, "\x00")
		counter(out, n, dropsDesc, kind, local)
	}
	for _, t := range []struct {
		of   tally
		desc *prometheus.Desc
	}{{c.overflows, overflowDesc}, {c.punts, puntsDesc}, {c.noBuffers, noBuffersDesc}} {
		for name, n := range t.of.sums {
			counter(out, n, t.desc, name)
		}
	}
}
