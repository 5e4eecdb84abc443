package rig

import (
	"flag"
	"testing"

	"github.com/sluice-net/sluice/loop/internal/debug"
)

// long is a flag of every package below loop/tests. .ci/run sets it.
var long = flag.Bool("long", false, "run all seeds, rounds and combinations, as .ci/run does")

// Long reports whether the flag -long was given. A test of many combinations may leave some
// out without it.
func Long() bool { return *long }

// SecondEnd is called by a test that runs the conformance kit on the other end of what another
// test runs it on. It skips the test without the flag -long.
func SecondEnd(t *testing.T) {
	t.Helper()
	if !Long() {
		t.Skip("needs -long: the kit runs on one end of each kind of connection by default")
	}
}

// Amount returns how many of its seeds, rounds or connections a test runs: all of them with
// the flag -long, a fifth by default, a tenth with -short. Builds that check more, such as
// those of the race detector, are slow and run a tenth too.
func Amount(all int) int {
	switch {
	case *long:
		return all
	case debug.On || testing.Short():
		return max(all/10, 1)
	}
	return max(all/5, 1)
}
