package proactor

import (
	"math"
	"time"
)

// Later returns the time d after at; d is not negative. If that is beyond the end
// of the clock, it returns the end of the clock, a time that never comes. All of a
// loop's times that are computed from a user's values are added here.
func Later(at, d time.Duration) time.Duration {
	if d > 0 && at > math.MaxInt64-d {
		return math.MaxInt64
	}
	return at + d
}
