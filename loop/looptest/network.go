package looptest

import (
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/internal/simio"
)

// Faults are probabilities, from 0 (never, the zero value) to 1, each drawn
// whenever the occasion arises. None breaks a promise that a kernel gives: bytes
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
	LateCancel   float64 // a cancellation takes its time, the operation may win
	SlowPeer     float64 // a connection has a tiny window and a long way
	Drop         float64 // a datagram is lost
	Duplicate    float64 // a datagram arrives twice
	Overtake     float64 // a datagram arrives after later ones
	Cold         float64 // a part of a file has to be read from its disk first
	NoGroups     float64 // datagrams are not taken in groups (DatagramOptions.GSO)

	// Of the simulated io_uring alone; the last two of the simulated epoll as well.

	TakePart   float64 // only a part of what is handed over is taken
	Busy       float64 // nothing of it is taken, for a while
	SmallBatch float64 // less is completed, or told, at a time
	Again      float64 // an operation has to be tried again without a reason

	// Of the simulated epoll alone.

	FalseReady float64 // something is told to be ready, and is not
	Interrupt  float64 // a system call is interrupted
	NoWatch    float64 // a descriptor cannot be watched: ENOMEM or ENOSPC
	Stale      float64 // an event of a closed descriptor is told of its successor

	DelayMax time.Duration // 0: 20 ms
}

// RandomFaults returns a random subset of the faults with random rates, which
// finds more than all of them at once: some faults hide what others show.
func RandomFaults(seed uint64) Faults { return Faults(simio.RandomFaults(seed)) }

// Options configure New. The zero value is a network without faults.
type Options struct {
	Seed   uint64 // of every random choice
	Faults Faults
	Loop   loop.Options // Engine is ignored

	// Ring has the loop run on the engine for io_uring, on a simulated ring that is
	// meaner than Linux, with queues of the sizes in Loop; Epoll has it run on the engine
	// for epoll, on a simulated epoll. Otherwise the engine is simulated as a whole.
	Ring, Epoll bool
}

// Network is a loop over a simulated network in virtual time. Its loop runs on a
// goroutine of its own until the end of the test.
//
// Whoever starts everything from one function, run with Do, gets the identical
// history from the same seed; what other goroutines do comes when it comes.
type Network struct {
	*loop.Loop
	sim *simulation
}

// New makes a network and runs its loop. At the end of the test the loop is shut
// down; the test fails for what was left open, for an exception that Expect had
// not announced, and then logs the seed.
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

// SetDescriptorLimit makes limit the number of descriptors that may be open at a
// time, as RLIMIT_NOFILE does. Beyond it there is EMFILE.
func (n *Network) SetDescriptorLimit(limit int) { n.sim.SetDescriptorLimit(limit) }

// History is what happened in the network, a line for each event: the virtual
// time in nanoseconds, what, the descriptor, the result, a checksum of the data.
func (n *Network) History() string { return n.sim.History() }

// HistoryHash is a hash over the whole history.
func (n *Network) HistoryHash() uint64 { return n.sim.HistoryHash() }
