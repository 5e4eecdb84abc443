package loop

import (
	"flag"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

var (
	chaosSeeds = flag.Uint64("seeds", 0, "how many seeds each test of chaos runs; 0: "+
		"40, 10 with -short and in checked builds")
	chaosSeed = flag.Int64("seed", -1, "run TestChaos with this seed alone, and print its trace")
)

// TestChaos runs protocols that do anything at any moment on a kernel that does
// anything that a kernel may, and checks every promise of the specification all
// the time. Every fourth seed, 4n+1, has pipes and children besides. Each seed is
// run twice, which must give the same history to the byte. A seed that fails is
// printed with the command that replays it.
//
// To see that the test can fail, these faults were planted by hand, one at a
// time; with each is the seed that killed it, and what the run said. The line to
// change is in package fdio unless another is named.
//
//	queue.compact loses the last chunk                    7  bytes are not what was sent
//	WriteBufferSize leaves out what is in flight          0  0 buffered, more in flight
//	received does not hold data back while paused         5  a pipe's bytes while paused
//	finish does not wait for the receive                  1  an operation is in flight
//	finish does not wait for the send: closed under it    0  an operation is in flight
//	finish calls ConnectionLost twice                     0  CL after ConnectionLost
//	FlowControl resumes what is not paused (transport)    0  RW without PauseWriting
//	readable forgets EOF, the receive is armed again      0  GB after EOF
//	drop gives chunks in flight to the pool               6  Free with an operation in flight
//	canSendNow forgets the send in flight: it overtakes   0  TrySend with a send in flight
//	Flush does not clear dirty: no wakeup ever after      2  183 bytes of 796 arrived
//	lose does not cancel the receive                      3  it closes for ever
//
// and beyond those twelve:
//
//	FlowControl pauses at the mark, not beyond            1  PauseWriting at 0 bytes
//	SetProtocol does not begin an epoch                   0  BufferUpdated(256) of 0 bytes
//	pass puts the rest behind what is held               15  bytes are not what was sent
//	WriteEOF does not wait for the output                16  EOF after 0 bytes of 11793
//	grewNow counts what was queued before twice          31  -1 buffered
//	sent runs releases before ResumeWriting              34  WritePaused is false
//	Loop.free forgets connections under way (loop)      336  a descriptor is left behind
//	grewNow runs releases inside WriteOwned              16  released inside WriteOwned
//	deliverHeld drops a held EOF                        368  EOF from a live writer
//	ResumeReading schedules only for what is held         0  2271 bytes of 4677 arrived
//	Complete of a closed acceptor does not drop          18  a descriptor is left behind
//	lend asks a successor for a buffer though paused    203  GB while reading is paused
//
// Not among them: copyIn appending to a chunk in flight, without which nothing
// goes wrong, because a send carries the length that the chunk had.
func TestChaos(t *testing.T) { chaosAll(t, onSimio) }

// chaosAll runs the seeds that the flags ask for.
func chaosAll(t *testing.T, on chaosKernel) {
	if *chaosSeed >= 0 {
		chaosTwice(t, uint64(*chaosSeed), on, true)
		return
	}
	seeds := manySeeds()
	var next atomic.Uint64
	var workers sync.WaitGroup
	for range 2 {
		workers.Go(func() {
			for seed := next.Add(1) - 1; seed < seeds && !t.Failed(); seed = next.Add(1) - 1 {
				chaosTwice(t, seed, on, false)
			}
		})
	}
	workers.Wait()
}

// manySeeds is how many seeds the flags ask for. .ci/run asks for thousands.
func manySeeds() uint64 {
	switch {
	case *chaosSeeds > 0:
		return *chaosSeeds
	case chaosChecked || testing.Short():
		return 10
	}
	return 40
}

// TestChaosRegressions are the seeds that found something.
func TestChaosRegressions(t *testing.T) {
	for _, c := range []struct {
		seed  uint64
		found string
	}{
		{34, "a release function wrote between the resumption of writing and ResumeWriting"},
		{203, "GetBuffer of the successor, though the protocol had paused inside its own"},
		{336, "the descriptor of a connection under way was left behind by Shutdown and Close"},
		{108, "simulation: a broken connection ended in order after all"},
		{962, "engines: a lazy send that had blocked ended without anybody being told"},
	} {
		t.Run(fmt.Sprint(c.seed), func(t *testing.T) {
			chaosTwice(t, c.seed, onSimio, false)
			if t.Failed() {
				t.Log("this seed once found: ", c.found)
			}
		})
	}
}

// chaosTwice runs a seed twice and compares.
func chaosTwice(t *testing.T, seed uint64, on chaosKernel, verbose bool) {
	first := newChaos(seed, on)
	first.verbose = verbose
	a := first.run()
	if len(first.failures) > 0 {
		trace := ""
		if verbose {
			trace = "\n" + strings.Join(first.trace, "\n")
		}
		t.Errorf("seed %d: %s\nreplay: %s%s",
			seed, strings.Join(first.failures, "\n\t"), chaosReplay(seed, on), trace)
		return
	}
	second := newChaos(seed, on)
	if b := second.run(); a != b {
		t.Errorf("seed %d: two runs, two histories %v\nreplay: %s",
			seed, second.failures, chaosReplay(seed, on))
	}
}

// chaosReplay is the command that runs a seed again, with its trace.
func chaosReplay(seed uint64, on chaosKernel) string {
	return fmt.Sprintf("go test ./loop -run '%s$' -seed %d", on.test(), seed)
}
