// Package looptest helps to test code that runs on a loop: protocols, servers and
// transports.
//
// New makes a loop over a simulated network, in virtual time, with faults drawn from a
// seed: the same seed gives the same history, and an hour of timeouts passes in a moment.
// Engines runs a test on every engine that the machine has and on simulated ones.
//
// Nothing here needs a sleep. Do runs a function on the loop, WaitFor waits until a
// condition is true, and Pass lets time pass on the loop's clock. Functions that run on
// the loop must not end the goroutine, as testing's FailNow and Fatal do: use Errorf
// there.
package looptest
