package iouring

import (
	"time"

	"github.com/sluice-net/sluice/loop/internal/sys"
)

// A loop that would sleep for a very short time had better not: going to sleep
// and being woken costs more than looking at a flag meanwhile. So the loop spins
// for spinMax before it sleeps, but only as long as that pays: when the last
// waits were all shorter than that, and few operations are in flight. With many,
// sleeping a little lets more of them complete at once, which is cheaper.
const (
	spinMax   = 50 * time.Microsecond
	spinAfter = 8 // short waits in a row
	spinOps   = 4 // operations in flight at most: more make better batches asleep
)

type spinner struct {
	short int // waits in a row that were shorter than spinMax
}

func (s *spinner) worthwhile(ops int) bool { return s.short >= spinAfter && ops <= spinOps }

func (s *spinner) began() time.Duration { return sys.Monotonic() }

// slept notes how long a wait took.
func (s *spinner) slept(began time.Duration) {
	if sys.Monotonic()-began < spinMax {
		s.short++
	} else {
		s.short = 0
	}
}

// spinFor hands the queue over and looks for completions without a system call.
// It reports whether there are any.
func (e *engine) spinFor() (bool, error) {
	if err := e.enterNow(); err != nil {
		return false, err
	}
	end := sys.Monotonic() + spinMax
	for !e.ring.TaskrunPending() && e.ring.Ready() == 0 {
		if sys.Monotonic() > end {
			e.spin.short = 0
			return false, nil
		}
	}
	return true, e.enterNow()
}
