//go:build !sluicedebug && !race

// Package debug says whether checks that cost time are compiled in: with the
// build tag sluicedebug, and whenever the race detector is on.
package debug

// On is a constant, so that what it guards is compiled away.
const On = false
