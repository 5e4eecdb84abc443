package iouring

import (
	"time"

	"github.com/sluice-net/sluice/loop/internal/sys"
)

// A loop should not sleep for a very short time: going to sleep and being woken
// costs more than looking at a flag meanwhile. So the loop spins for spinMax before
// it sleeps, but only as long as that pays: when the last sleeps were all shorter
// than that, and few operations are in flight. With many, sleeping a little lets
// more of them complete at once, which is cheaper.
//
//	sleeping --spinAfter short sleeps--> spinning --a spin in vain--------> sleeping
//	                                     spinning --spins take too long---> resting
//	resting --spinRest sleeps--> sleeping
//
// resting: the awaited event takes longer than a sleep costs, about spinWorth, so
// that spinning would be quicker but not cheaper.
const (
	spinMax   = 50 * time.Microsecond
	spinWorth = 12 * time.Microsecond
	spinAfter = 8    // short sleeps in a row
	spinRest  = 2000 // sleeps without a spin
	spinOps   = 4    // operations in flight at most: more make better batches asleep
)

type spinner struct {
	short int           // sleeps in a row that were shorter than spinMax
	rest  int           // sleeps still to be made without a spin
	usual time.Duration // how long a spin takes: a moving average
}

func (s *spinner) worthwhile(ops int) bool { return s.short >= spinAfter && ops <= spinOps }

// slept records how long a sleep took. It returns the time, or 0 if it did not look
// at the clock.
func (s *spinner) slept(began time.Duration, clock interface{ Now() time.Duration }) time.Duration {
	if s.rest > 0 {
		s.rest--
		return 0
	}
	now := clock.Now()
	if now-began < spinMax {
		s.short++
	} else {
		s.short = 0
	}
	return now
}

// spun records how long a spin took.
func (s *spinner) spun(took time.Duration) {
	s.usual += (took - s.usual) / 16
	if s.usual > spinWorth {
		s.short, s.rest, s.usual = 0, spinRest, 0
	}
}

// vain records that a spin brought nothing: it counts as one of the most expensive
// kind.
func (s *spinner) vain() {
	s.short = 0
	s.spun(spinMax)
}

// spinFor hands the queue over and checks for completions without a system call. It
// reports whether there are any.
func (e *engine) spinFor() (bool, error) {
	if err := e.enterNow(); err != nil {
		return false, err
	}
	began := sys.Monotonic()
	for !e.ring.TaskrunPending() && e.ring.Ready() == 0 {
		if sys.Monotonic()-began > spinMax {
			e.spin.vain()
			return false, nil
		}
	}
	e.spin.spun(sys.Monotonic() - began)
	return true, e.enterNow()
}
