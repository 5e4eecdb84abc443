// Package relay passes what each of two transports receives to the other one.
package relay

import (
	"sync/atomic"
	"time"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/guard"
	"github.com/sluice-net/sluice/transport"
)

// Host is what a relay needs of its loop.
type Host interface {
	// After runs f once d has passed, unless the timer is stopped before.
	After(d time.Duration, f func()) guard.Timer
}

// Config configures a relay.
type Config struct {
	// Most is the most bytes that one direction holds. 0: the marks of the transports.
	Most int

	// Limit is the most bytes that one direction passes on, and LimitErr how the relay
	// ends if there are more. 0: no limit.
	Limit    int64
	LimitErr error

	// IdleTimeout ends the relay if no byte has moved for so long. 0: never.
	IdleTimeout time.Duration

	// Counts are added to, by the bytes that were received from a and from b and passed
	// on.
	Counts *[2]atomic.Int64

	// Done is called when both transports are lost, with what was counted of this relay,
	// and nil if both directions had ended by then.
	Done func(passed [2]int64, err error)
}

// Relay passes bytes on, between two transports whose protocols are its two sides.
//
//	both --EOF of one--> one direction --EOF of the other--> closing
//	both, one direction --EOF where there is no half-close--> closing
//	any --a transport is closed by others--> closing
//	any --an error, Stop--> failed
//	closing, failed --both transports are lost--> done
//
// closing: both transports send what they have. failed: both were aborted.
type Relay struct {
	host   Host
	config Config
	sides  [2]side
	over   bool // closing, because both directions have ended
	failed bool
	err    error
	timer  guard.Timer
	seen   [4]int64 // what the timer saw
}

// New makes a relay between a and b, which are open, and takes their protocols' place. An
// error is that of SetProtocol; then the transports are as they were.
func New(host Host, a, b transport.Transport, config Config) (*Relay, error) {
	r := &Relay{host: host, config: config}
	for i, t := range [2]transport.Transport{a, b} {
		r.sides[i] = side{relay: r, t: t, other: &r.sides[1-i], count: &config.Counts[i]}
	}
	old := a.Protocol()
	if err := a.SetProtocol(&r.sides[0]); err != nil {
		return nil, err
	}
	if err := b.SetProtocol(&r.sides[1]); err != nil {
		_ = a.SetProtocol(old) // it was a's a moment ago
		return nil, err
	}
	return r, nil
}

// Start begins to pass on. What happens from now on may end the relay, even before Start
// returns.
func (r *Relay) Start() {
	for i := range r.sides {
		r.sides[i].prepare()
	}
	r.watch()
	for i := range r.sides {
		r.sides[i].start()
	}
}

// Stop ends the relay with err: both transports are reset. The first reason wins.
func (r *Relay) Stop(err error) {
	if r.failed {
		return
	}
	r.failed, r.err = true, err
	for i := range r.sides {
		if s := &r.sides[i]; !s.lost {
			reset(s.t)
		}
	}
}

// done reports whether both transports are lost.
func (r *Relay) done() bool { return r.sides[0].lost && r.sides[1].lost }

// lost is called when the transport of s is lost.
func (r *Relay) lost(s *side, err error) {
	s.lost = true
	if err != nil {
		resetOnClose(s.t) // its peer must not take this for the end, either
	}
	switch {
	case r.failed:
	case err != nil:
		r.Stop(err)
	case !r.over && !s.other.lost:
		r.over, r.err = true, transport.ErrClosed // by somebody else
		s.other.finish()
	case !s.other.lost:
		s.other.finish()
	}
	if r.done() {
		r.end()
	}
}

// end is the end of the relay.
func (r *Relay) end() {
	if r.timer != nil {
		r.timer.Cancel()
	}
	for i := range r.sides {
		if x := r.sides[i].splice; x != nil {
			x.End()
		}
	}
	r.config.Done([2]int64{r.sides[0].passed, r.sides[1].passed}, r.err)
}

// close closes both transports, in order: both directions have ended.
func (r *Relay) close() {
	r.over = true
	for i := range r.sides {
		r.sides[i].finish()
	}
}

// watch starts the idle timer. Once per timeout it compares what has been passed on and
// what is buffered with what it saw the last time, so that traffic costs nothing.
func (r *Relay) watch() {
	if r.config.IdleTimeout <= 0 {
		return
	}
	r.seen = r.state()
	r.timer = r.host.After(r.config.IdleTimeout, func() {
		if r.state() == r.seen {
			r.Stop(transport.ErrIdleTimeout)
			return
		}
		r.watch()
	})
}

// state changes whenever a byte moves.
func (r *Relay) state() (s [4]int64) {
	for i := range r.sides {
		s[i] = r.sides[i].passed
		s[2+i] = int64(r.sides[i].t.WriteBufferSize())
	}
	return s
}

// stream returns the socket of t if nothing lies between them.
func stream(t transport.Transport) (*fdio.Stream, bool) {
	s, ok := t.(*fdio.Stream)
	return s, ok && s.Sendable()
}
