// Package kernelchaos has no code but its test: loops on the real kernel, with queues
// as small as there are, and peers that do whatever peers do. Every byte of every
// stream is compared with what was written, and the end of each connection with what
// was done to it.
package kernelchaos

import (
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/internal/leaktest"
)

var (
	chaosFor = flag.Duration("chaos-for", 0, "how long TestChaos runs on each engine; "+
		"0: a few seconds")
	chaosSeed = flag.Uint64("chaos-seed", 0, "the first world's seed; 0: by the clock")
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// TestChaos makes one world after the other, each with a seed and a loop of its own,
// until the time is up. The seed decides on the loop's options and on what each
// connection does; when things happen is up to the machine, so a seed that failed
// finds the same fault in a few tries, not at once. What fails says how to try.
//
// To see that the test can fail, these faults were planted by hand, one at a time, and
// run with -chaos-for 30s. What killed it:
//
//	queue.compact loses the last chunk (fdio)          both   the peer received another byte
//	a release is called twice (fdio)                   both   15 slices released of 14
//	a successor gets no copy of what is held (fdio)    both   received memory let go of
//	an error is dropped behind a part sent (epoll)     epoll  the peer has reset: EPIPE
//	ECONNRESET of a receive is 0 (epoll)               epoll  EOFReceived without FIN
//	a short send is sent from its beginning (epoll)    epoll  index out of range
//	writers stay watched (epoll)                       epoll  idle: 5,979 system calls
//	a buffer is given back before it is read (iouring) uring  an endpoint received another
//	what is staged is overwritten (uring)              uring  bad address
//
// Two survived, which the simulated kernel is better at: chunks that go back to their
// pool while a send that is being cancelled has them, and a generation of a slot that is
// not compared (iouring).
func TestChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	for _, engine := range []loop.Engine{loop.Uring, loop.Epoll} {
		t.Run(engine.String(), func(t *testing.T) {
			want := strings.ToLower(os.Getenv(loop.EngineEnv))
			if want != "" && want != "auto" && !strings.HasSuffix(engine.String(), want) {
				t.Skipf("needs %s to allow %v, not %q", loop.EngineEnv, engine, want)
			}
			chaos(t, engine)
		})
	}
}

// chaos makes worlds on an engine.
func chaos(t *testing.T, engine loop.Engine) {
	// As often as the collector can: memory that the kernel was left pointing at is
	// somebody else's at once.
	defer debug.SetGCPercent(debug.SetGCPercent(1))
	size := worldSize{span: 1500 * time.Millisecond, live: 300}
	total := size.span
	switch {
	case *chaosFor > 0:
		size, total = worldSize{span: 4 * time.Second, live: 1500}, *chaosFor
	case testing.Short():
		size = worldSize{span: 500 * time.Millisecond, live: 100}
		total = size.span
	}
	seed := *chaosSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	var sum tally
	for end := time.Now().Add(total); time.Now().Before(end) && !t.Failed(); seed++ {
		leaksBefore := leaktest.Descriptors()
		w, err := newWorld(engine, seed, size)
		if err != nil && engine == loop.Uring {
			t.Skipf("needs io_uring (%v)", err)
		}
		if err != nil {
			t.Fatal(err)
		}
		w.run()
		for _, leak := range leaktest.Leaks(leaksBefore) {
			if strings.HasPrefix(leak, "descriptor") {
				w.failf("left open: %s", leak)
			}
		}
		sum.add(w)
		for _, f := range w.failures {
			t.Error(f)
		}
		if t.Failed() {
			t.Logf("world: %s", w)
			t.Logf("again: %s=%s go test ./loop/internal/kernelchaos -run TestChaos "+
				"-chaos-for 1m -chaos-seed %d", loop.EngineEnv,
				strings.TrimPrefix(engine.String(), "io_"), seed)
		}
	}
	t.Log(sum.String())
	sum.demand(t)
}

// worldSize is how large a world is: for how long connections are made, and how many
// are there at a time.
type worldSize struct {
	span time.Duration
	live int
}

// tally is what all worlds of a run have seen, so that nobody takes a run in which
// nothing happened for one in which all went well.
type tally struct {
	worlds, links, complete, resets, ends, parked, datagrams int
	bytes                                                    uint64
}

func (s *tally) add(w *world) {
	s.worlds++
	s.links += w.count.links
	s.complete += w.count.complete
	s.resets += w.count.resets
	s.ends += w.count.ends
	s.parked += w.count.parked
	s.datagrams += int(w.datagrams.Load())
	s.bytes += w.count.bytes
}

func (s *tally) String() string {
	return fmt.Sprintf("%d worlds, %d connections (%d parked), %d MB; %d streams complete "+
		"to the end, %d connections reset, %d ends of file, %d datagrams", s.worlds, s.links,
		s.parked, s.bytes>>20, s.complete, s.resets, s.ends, s.datagrams)
}

// demand fails the test where something that is to happen has not.
func (s *tally) demand(t *testing.T) {
	if t.Failed() {
		return
	}
	for what, n := range map[string]int{
		"connections": s.links / 50, "complete streams": s.complete, "resets": s.resets,
		"ends of file": s.ends, "parked connections": s.parked, "datagrams": s.datagrams,
	} {
		if n == 0 {
			t.Errorf("no or few %s: %s", what, s)
		}
	}
}
