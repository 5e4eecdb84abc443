// Package promexport hands what pressure finds to Prometheus. Its series are by
// listener and cause, never by connection, and there is a limit to how many
// listeners have their own: a server with a million clients has as many series
// as one with ten.
package promexport

import (
	"iter"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-net/sluice/transport/pressure"
	"github.com/sluice-net/sluice/transport/pressure/internal/view"
)

// The values of the label "listener" that are no address.
const (
	Outgoing = "outgoing" // connections that were made from here
	Other    = "other"    // all listeners beyond the limit
)

// ListenersMax is how many listeners, and how many UDP sockets, have series of
// their own.
const ListenersMax = 32

// A Source is what is exported: a *pressure.Tracer.
type Source interface {
	// The methods are the tracer's.
	Snapshot() (*pressure.Snapshot, error)
	Accounts() iter.Seq[pressure.Account]
	Lost() uint64
}

// A Collector is a prometheus.Collector. It looks when it is asked; what
// accumulates is of the time since it was made. It is safe for concurrent use.
type Collector struct {
	source Source

	mu        sync.Mutex
	listeners map[string]bool
	sockets   map[string]bool
	time      map[flow]float64 // seconds
	bytes     map[way]float64
	drops     tally
	overflows tally
	punts     tally
	noBuffers tally
}

// A way is one direction of a listener's connections, a flow one cause of it.
type (
	way  struct{ listener, direction string }
	flow struct {
		way
		cause string
	}
)

// New returns a Collector of source.
func New(source Source) *Collector {
	return &Collector{source: source, listeners: map[string]bool{}, sockets: map[string]bool{},
		time: map[flow]float64{}, bytes: map[way]float64{}, drops: newTally(),
		overflows: newTally(), punts: newTally(), noBuffers: newTally()}
}

// Describe sends what there is.
func (c *Collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range descs {
		out <- d
	}
}

// Collect looks and sends. If the process is gone, up is 0 and what accumulated
// stays.
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := c.source.Snapshot()
	if err == nil {
		c.accounts(s)
		c.counters(s)
		c.gauges(out, s)
	}
	c.totals(out)
	up := 1.0
	if err != nil {
		up = 0
	}
	gauge(out, up, upDesc)
	counter(out, float64(c.source.Lost()), lostDesc)
}

// listener returns the value of the label for connections of a listener.
func (c *Collector) listener(address string) string {
	if address == "" {
		return Outgoing
	}
	return limited(c.listeners, address)
}

// limited returns the name, or Other if there are too many already.
func limited(known map[string]bool, name string) string {
	if !known[name] {
		if len(known) >= ListenersMax {
			return Other
		}
		known[name] = true
	}
	return name
}

// accounts adds up where the time went.
func (c *Collector) accounts(s *pressure.Snapshot) {
	for a := range c.source.Accounts() {
		name := c.listener(view.ListenerOf(s.Listeners, a.Local))
		seconds := (a.To - a.From).Seconds()
		for _, side := range []struct {
			direction string
			of        pressure.Side
		}{{"send", a.Send}, {"receive", a.Receive}} {
			w := way{name, side.direction}
			c.bytes[w] += float64(side.of.Bytes)
			for cause, share := range side.of.Shares {
				if share > 0 {
					c.time[flow{w, pressure.Cause(cause).String()}] += share * seconds
				}
			}
		}
	}
}

// A tally sums counters of things that come and go, so that the sum never falls.
type tally struct {
	last map[uint64]uint64
	sums map[string]float64
}

func newTally() tally { return tally{map[uint64]uint64{}, map[string]float64{}} }

// add takes the present value of the counter of key. One that is new counts from
// what it is: what it counted before was of another time.
func (t tally) add(name string, key, now uint64) {
	before, known := t.last[key]
	t.last[key] = now
	if t.sums[name] += 0; known && now > before {
		t.sums[name] += float64(now - before)
	}
}

// forget drops the keys that are not in present.
func (t tally) forget(present map[uint64]bool) {
	for key := range t.last {
		if !present[key] {
			delete(t.last, key)
		}
	}
}
