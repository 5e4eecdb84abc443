package proactor

import (
	"math"
	"time"
)

// Later returns the time d after at, which is not negative, and the end of the clock
// where that is beyond it: "for ever" is a time that never comes. All times of a loop
// that are made of what a user gave are added here.
func Later(at, d time.Duration) time.Duration {
	if d > 0 && at > math.MaxInt64-d {
		return math.MaxInt64
	}
	return at + d
}
