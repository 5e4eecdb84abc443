package loop

import "testing"

// Whatever goes wrong, a child is told of in the order of the contract, its output
// arrives whole and in order, it hears what it was told, and everything ends. The
// runs are those of TestChaos without a network; -seed of that test replays one.
func TestChildrenSurviveChaos(t *testing.T) {
	for seed := range manySeeds() {
		chaosTwice(t, chaosAlone+seed, chaosKernel(seed%3), false)
		if t.Failed() {
			return
		}
	}
}
