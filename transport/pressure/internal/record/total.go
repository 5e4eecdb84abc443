package record

import (
	"slices"
	"time"

	"github.com/sluice-net/sluice/transport/pressure"
)

// Totals returns one account for each connection over all moments: shares are
// weighted with the time that they are of. The order is that of descriptors.
func (r *Recording) Totals() []pressure.Account {
	sums := map[uint64]*total{}
	var order []*total
	for _, m := range r.Moments {
		for _, a := range m.Accounts {
			t := sums[a.Cookie]
			if t == nil {
				t = &total{account: a}
				t.account.Samples = 0
				sums[a.Cookie], order = t, append(order, t)
			}
			t.add(a)
		}
	}
	out := make([]pressure.Account, 0, len(order))
	for _, t := range order {
		t.account.Send, t.account.Receive = t.send.done(t.span), t.receive.done(t.span)
		out = append(out, t.account)
	}
	slices.SortStableFunc(out, func(a, b pressure.Account) int { return a.FD - b.FD })
	return out
}

// A total adds the accounts of one connection up.
type total struct {
	account       pressure.Account
	span          time.Duration // that was accounted for
	send, receive sum
}

func (t *total) add(a pressure.Account) {
	span := a.To - a.From
	t.span += span
	t.account.To = a.To
	t.account.Samples += a.Samples
	t.send.add(a.Send, span)
	t.receive.add(a.Receive, span)
}

// A sum adds the accounts of one direction up.
type sum struct {
	held    pressure.Shares // in nanoseconds
	bytes   uint64
	reasons [pressure.Causes + 1]string // that of the longest wait, by verdict
	longest [pressure.Causes + 1]float64
}

func (s *sum) add(side pressure.Side, span time.Duration) {
	for c := range s.held {
		s.held[c] += side.Shares[c] * float64(span)
	}
	s.bytes += side.Bytes
	wait := side.Shares.Waiting() * float64(span)
	if v := side.Verdict; side.Reason != "" && int(v) < len(s.reasons) && wait > s.longest[v] {
		s.reasons[v], s.longest[v] = side.Reason, wait
	}
}

func (s *sum) done(span time.Duration) pressure.Side {
	out := pressure.Side{Bytes: s.bytes}
	if span <= 0 {
		return out
	}
	for c := range s.held {
		out.Shares[c] = s.held[c] / float64(span)
	}
	out.Verdict = out.Shares.Verdict()
	out.Reason = s.reasons[out.Verdict]
	return out
}
