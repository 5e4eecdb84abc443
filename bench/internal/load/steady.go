package load

import "time"

// A sample is how far a slice is at one moment.
type sample struct {
	at, idle int64
	ran      time.Duration
	bytes    int64
}

// A span measures the middle part of a slice: when all connections have got going, and
// before they come to an end. Nothing is measured of a slice without Slice.Warm.
//
//	before --Warm is over--> within --the deadline--> after
type span struct {
	begin, end sample
	state      spanState
}

type spanState uint8

const (
	spanBefore spanState = iota
	spanWithin
	spanAfter
)

// sampleAt is how far the slice is now.
func (p *Pool) sampleAt(now, idle int64) sample {
	s := sample{at: now, idle: idle, ran: threadTime(), bytes: p.out.Bytes}
	if p.opts.Kind == Upload || p.opts.Kind == Relay {
		s.bytes = p.opts.Received()
	}
	return s
}

// look begins and ends the span when it is time.
func (p *Pool) look(s *span, now, idle int64) {
	switch {
	case p.slice.Warm == 0 || s.state == spanAfter:
	case s.state == spanBefore && now >= p.deadline-int64(p.slice.Time):
		s.state, s.begin = spanWithin, p.sampleAt(now, idle)
		p.slice.Mark()
	case s.state == spanWithin && now >= p.deadline:
		s.state, s.end = spanAfter, p.sampleAt(now, idle)
		p.slice.Mark()
	}
}

// outcome is that of the span alone.
func (s *span) outcome(size int) Outcome {
	elapsed := time.Duration(s.end.at - s.begin.at)
	idle := time.Duration(s.end.idle - s.begin.idle)
	bytes := s.end.bytes - s.begin.bytes
	return Outcome{Messages: bytes / int64(size), Bytes: bytes, Elapsed: elapsed,
		Busy: min(elapsed-idle, s.end.ran-s.begin.ran)}
}
