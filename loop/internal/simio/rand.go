package simio

import "time"

// source is a splitmix64 generator: small, and the same in every release of Go.
type source struct{ state uint64 }

func (s *source) next() uint64 {
	s.state += 0x9e3779b97f4a7c15
	z := s.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below returns a number in [0, n).
func (s *source) below(n int) int { return int(s.next() % uint64(n)) }

// between returns a number in [low, high].
func (s *source) between(low, high int) int { return low + s.below(high-low+1) }

// unit returns a number in [0, 1).
func (s *source) unit() float64 { return float64(s.next()>>11) / (1 << 53) }

// chance reports true with probability p. It draws nothing when p is 0, so that
// a fault that is off does not change what else happens.
func (s *source) chance(p float64) bool { return p > 0 && s.unit() < p }

// duration returns a duration in [0, limit).
func (s *source) duration(limit time.Duration) time.Duration {
	if limit <= 0 {
		return 0
	}
	return time.Duration(s.next() % uint64(limit))
}
