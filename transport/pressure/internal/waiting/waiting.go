// Package waiting makes a profile of a recording that pprof reads: the time for
// which connections were held back, by where. Its flame graph is one of waiting.
package waiting

import (
	"github.com/google/pprof/profile"

	"github.com/sluice-net/sluice/transport/pressure"
	"github.com/sluice-net/sluice/transport/pressure/internal/record"
	"github.com/sluice-net/sluice/transport/pressure/internal/view"
)

// Outgoing is the frame in the place of a listener for connections that were made
// from here.
const Outgoing = "outgoing"

// Profile returns the held-back time of a recording. A stack is, from its root:
// the process, the listener, the peer's host, the direction, the cause. Idle time
// is left out. The label "peer" of a sample has the peer's port as well.
func Profile(r *record.Recording) *profile.Profile {
	b := builder{functions: map[string]*profile.Location{}, samples: map[stack]*profile.Sample{}}
	b.out = &profile.Profile{
		SampleType:    []*profile.ValueType{{Type: "held", Unit: "nanoseconds"}},
		PeriodType:    &profile.ValueType{Type: "held", Unit: "nanoseconds"},
		Period:        1,
		TimeNanos:     r.Started.UnixNano(),
		DurationNanos: int64(r.End() - r.Begin()),
	}
	for _, m := range r.Moments {
		for _, a := range m.Accounts {
			listener := view.ListenerOf(m.Snapshot.Listeners, a.Local)
			if listener == "" {
				listener = Outgoing
			}
			b.account(r.Process, listener, a)
		}
	}
	return b.out
}

// A stack tells samples apart.
type stack struct {
	listener, peer, direction string
	cause                     pressure.Cause
}

// A builder adds samples up.
type builder struct {
	out       *profile.Profile
	functions map[string]*profile.Location
	samples   map[stack]*profile.Sample
}

func (b *builder) account(process, listener string, a pressure.Account) {
	span := float64(a.To - a.From)
	for _, side := range []struct {
		name   string
		shares pressure.Shares
	}{{"send", a.Send.Shares}, {"receive", a.Receive.Shares}} {
		for c := pressure.CauseApp; int(c) < pressure.Causes; c++ {
			held := int64(side.shares[c]*span + 0.5)
			if held == 0 {
				continue
			}
			key := stack{listener, a.Remote.String(), side.name, c}
			s := b.samples[key]
			if s == nil {
				s = b.sample(process, a.Remote.Addr().String(), key)
			}
			s.Value[0] += held
		}
	}
}

// sample adds a sample; its locations begin at the leaf.
func (b *builder) sample(process, host string, key stack) *profile.Sample {
	s := &profile.Sample{Value: []int64{0}, Label: map[string][]string{"peer": {key.peer}}}
	for _, name := range []string{key.cause.String(), key.direction, host, key.listener,
		process} {
		s.Location = append(s.Location, b.location(name))
	}
	b.samples[key] = s
	b.out.Sample = append(b.out.Sample, s)
	return s
}

func (b *builder) location(name string) *profile.Location {
	if l := b.functions[name]; l != nil {
		return l
	}
	id := uint64(len(b.out.Function) + 1)
	f := &profile.Function{ID: id, Name: name, SystemName: name}
	l := &profile.Location{ID: id, Line: []profile.Line{{Function: f}}}
	b.functions[name] = l
	b.out.Function, b.out.Location = append(b.out.Function, f), append(b.out.Location, l)
	return l
}
