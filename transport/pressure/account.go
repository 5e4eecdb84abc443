package pressure

import (
	"net/netip"
	"time"
)

// An Account says where the wall time of a connection went.
type Account struct {
	// FD is its descriptor; Cookie its SO_COOKIE.
	FD     int    `json:"fd"`
	Cookie uint64 `json:"cookie"`
	// Local and Remote are its addresses.
	Local  netip.AddrPort `json:"local,omitzero"`
	Remote netip.AddrPort `json:"remote,omitzero"`
	// From and To delimit the time span, by CLOCK_MONOTONIC.
	From time.Duration `json:"from"`
	To   time.Duration `json:"to"`
	// Samples is the number of intervals between snapshots that were added up. If
	// there are few, what is not known as a duration is coarse.
	Samples int `json:"samples"`
	// Send and Receive are the two directions, as this process sees them.
	Send    Side `json:"send"`
	Receive Side `json:"receive"`
}

// Side is the account of one direction.
type Side struct {
	// Shares are the fractions of the time by cause, which sum to 1.
	Shares Shares `json:"shares"`
	// Verdict is the cause that dominates, CauseIdle if hardly anything waited, or
	// CauseMixed.
	Verdict Cause `json:"verdict"`
	// Reason is the evidence for Verdict in a few words.
	Reason string `json:"reason,omitempty"`
	// Bytes is the number of bytes acknowledged (Send) or received (Receive) in the
	// span.
	Bytes uint64 `json:"bytes"`
}

// Shares are fractions of the wall time by cause.
type Shares [Causes]float64

// Sum returns the sum of all shares: 1, or 0 for the zero value.
func (s Shares) Sum() float64 {
	sum := 0.0
	for _, share := range s {
		sum += share
	}
	return sum
}

// The rules of Verdict.
const (
	// idleBelow is the share of waiting below which a direction counts as idle.
	idleBelow = 0.20
	// leadsFrom is the fraction of all waiting that a cause needs in order to
	// dominate.
	leadsFrom = 0.60
)

// Verdict returns CauseIdle if all other causes together have less than a fifth of
// the time; the cause with at least 60 % of what is not idle, if there is one;
// otherwise CauseMixed.
func (s Shares) Verdict() Cause {
	waiting, lead := 0.0, CauseApp
	for c := CauseApp; int(c) < Causes; c++ {
		waiting += s[c]
		if s[c] > s[lead] {
			lead = c
		}
	}
	switch {
	case waiting < idleBelow:
		return CauseIdle
	case s[lead] >= leadsFrom*waiting:
		return lead
	}
	return CauseMixed
}

// Waiting returns the share that is not idle.
func (s Shares) Waiting() float64 {
	if s.Sum() == 0 {
		return 0
	}
	return 1 - s[CauseIdle]
}
