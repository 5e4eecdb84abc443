package proactor

import (
	"math"
	"testing"
	"time"
)

func TestLaterEndsWithTheClock(t *testing.T) {
	const end = time.Duration(math.MaxInt64)
	for _, c := range []struct{ at, d, want time.Duration }{
		{0, 0, 0}, {5, 3, 8}, {5, -3, 2}, {5, -9, -4},
		{0, end, end}, {1, end, end}, {end, end, end}, {end, 0, end}, {1, end - 1, end},
		{2, end - 1, end}, {end - 2, 1, end - 1}, {0, math.MinInt64, math.MinInt64},
		{end, math.MinInt64, -1},
	} {
		if got := Later(c.at, c.d); got != c.want {
			t.Errorf("Later(%d, %d) = %d, want %d", c.at, c.d, got, c.want)
		}
	}
}
