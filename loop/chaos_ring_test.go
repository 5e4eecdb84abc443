package loop

import "testing"

// TestChaosOnARing is TestChaos through the engine on io_uring itself, on a ring that
// is simulated: the kernel's side of it. The queues are small, from one entry up, so
// that most turns need several enters and completions overflow.
func TestChaosOnARing(t *testing.T) { chaosAll(t, onRing) }
