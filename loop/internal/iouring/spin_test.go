package iouring

import (
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop/internal/sys"
)

// brief is a sleep that is short on however slow a machine the test itself runs: it
// ends before it began.
const brief = -time.Hour

// sleeps lets n sleeps pass that took d.
func sleeps(s *spinner, n int, d time.Duration) {
	for range n {
		s.slept(sys.Monotonic()-d, &linux{})
	}
}

func TestSpinsAfterShortSleepsOnly(t *testing.T) {
	var s spinner
	sleeps(&s, spinAfter-1, brief)
	if s.worthwhile(1) {
		t.Error("spins too soon")
	}
	sleeps(&s, 1, brief)
	if !s.worthwhile(spinOps) || s.worthwhile(spinOps+1) {
		t.Error("few operations: must spin; many: must not")
	}
	sleeps(&s, 1, time.Millisecond)
	if s.worthwhile(1) {
		t.Error("spins after a long sleep")
	}
}

func TestSpinsNotWhereSleepingIsCheaper(t *testing.T) {
	var s spinner
	sleeps(&s, spinAfter, brief)
	for range 1000 {
		s.spun(spinWorth / 2)
	}
	if !s.worthwhile(1) {
		t.Fatal("short spins do not pay")
	}
	for range 1000 {
		if !s.worthwhile(1) {
			break
		}
		s.spun(2 * spinWorth)
	}
	if s.worthwhile(1) {
		t.Error("long spins go on")
	}
	sleeps(&s, spinRest, brief)
	if s.worthwhile(1) {
		t.Error("tried again too soon")
	}
	sleeps(&s, spinAfter, brief)
	if !s.worthwhile(1) {
		t.Error("never tried again")
	}
}

func TestASpinInVainEndsSpinning(t *testing.T) {
	var s spinner
	sleeps(&s, spinAfter, brief)
	s.vain()
	if s.worthwhile(1) {
		t.Error("spins on")
	}
}
