package looptest

import (
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/internal/simio"
)

// Faults are probabilities of faults, from 0 (never, the zero value) to 1. Each is drawn
// whenever its fault could happen. No fault breaks a guarantee of the kernel: bytes
// arrive in order, once, or the connection ends.
type Faults struct {
	PartialRead  float64 // a receive takes less than there is
	PartialWrite float64 // a send takes less than there is room for
	Reset        float64 // a receive or send finds the connection broken
	NoMemory     float64 // an operation fails with ENOMEM
	NoSocket     float64 // a socket cannot be made: EMFILE
	BindBusy     float64 // an address is in use
	Accept       float64 // accepting fails with EMFILE, ENFILE or ENOMEM
	Refuse       float64 // a connection is refused
	Timeout      float64 // a connection times out
	Delay        float64 // an operation begins late, by up to DelayMax
	Reorder      float64 // what happens to different connections swaps places
	NoBuffers    float64 // a receive finds no buffer at first
	Overflow     float64 // some completions come a round later
	Spurious     float64 // the loop wakes up for nothing
	LateCancel   float64 // a cancellation is slow, so that the operation may complete first
	SlowPeer     float64 // a connection has a tiny window and a long delay
	Drop         float64 // a datagram is lost
	Duplicate    float64 // a datagram arrives twice
	Overtake     float64 // a datagram arrives after later ones
	Cold         float64 // a part of a file has to be read from disk first
	NoGroups     float64 // datagrams are not taken in groups (DatagramOptions.GSO)

	// For the simulated io_uring only; the last two for the simulated epoll as well.

	TakePart   float64 // only a part of what is submitted is taken
	Busy       float64 // nothing that is submitted is taken, for a while
	SmallBatch float64 // fewer completions or events come at a time
	Again      float64 // an operation has to be retried for no reason

	// For the simulated epoll only.

	FalseReady float64 // a descriptor is reported ready, but is not
	Interrupt  float64 // a system call is interrupted
	NoWatch    float64 // a descriptor cannot be watched: ENOMEM or ENOSPC
	Stale      float64 // an event of a closed descriptor is reported for its successor

	DelayMax time.Duration // 0 means 20 ms
}

// RandomFaults returns a random subset of the faults with random rates, which finds more
// than all of them at once: some faults hide what others reveal.
func RandomFaults(seed uint64) Faults { return Faults(simio.RandomFaults(seed)) }

// Options configure New. The zero value is a network without faults.
type Options struct {
	Seed   uint64 // of every random choice
	Faults Faults
	Loop   loop.Options // Engine is ignored

	// Ring makes the loop run on the io_uring engine, on a simulated ring that is harsher
	// than Linux, with queues of the sizes in Loop. Epoll makes it run on the epoll
	// engine, on a simulated epoll. Otherwise the engine is simulated as a whole.
	Ring, Epoll bool
}

// Network is a loop over a simulated network in virtual time. Its loop runs on a
// goroutine of its own until the end of the test.
//
// A test that starts everything from one function, run with Do, gets an identical history
// from the same seed. What other goroutines do happens at a time that the seed does not
// determine.
type Network struct {
	*loop.Loop
	sim *simulation
}

// New makes a network and runs its loop. At the end of the test the loop is shut down.
// The test fails if anything was left open, as for Engines, or for an exception that
// Expect had not announced; a test that fails logs the seed.
func New(tb testing.TB, o Options) *Network {
	kind := whole
	switch {
	case o.Ring:
		kind = onRing
	case o.Epoll:
		kind = onEpoll
	}
	sim, l := simulate(simio.Options{Seed: o.Seed, Faults: simio.Faults(o.Faults)}, kind,
		&o.Loop)
	n := &Network{Loop: l, sim: sim}
	tb.Cleanup(func() {
		for _, leak := range sim.Leaks() {
			tb.Error("left open:", leak)
		}
		if tb.Failed() {
			tb.Logf("looptest: seed %d", o.Seed)
		}
	})
	run(tb, n.Loop, sim)
	return n
}

// SetFaults changes the faults from now on; the zero Faults ends them.
func (n *Network) SetFaults(f Faults) { n.sim.SetFaults(simio.Faults(f)) }

// SetDescriptorLimit sets how many descriptors may be open at a time, as RLIMIT_NOFILE
// does. Beyond the limit, the error is EMFILE.
func (n *Network) SetDescriptorLimit(limit int) { n.sim.SetDescriptorLimit(limit) }

// History returns what has happened in the network, one line per event: the virtual time
// in nanoseconds, the kind of event, the descriptor, the result and a checksum of the
// data.
func (n *Network) History() string { return n.sim.History() }

// HistoryHash returns a hash over the whole history.
func (n *Network) HistoryHash() uint64 { return n.sim.HistoryHash() }
