package kernelchaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/internal/exacttest"
	"github.com/sluice-net/sluice/loop/looptest"
)

// waitTimeout is how long a world may take to come to rest, and to end.
const waitTimeout = 60 * time.Second

// A world is a loop, its servers, and the connections to them.
//
//	chaos: connections come and go, everybody acts
//	  --time is up--> settling: nobody begins anything; who can end does
//	  --all that are left are parked: peers that do not read--> idle: nothing runs
//	  --woken--> ending: those read, close or reset at last --> over
type world struct {
	seed uint64
	size worldSize
	opts loop.Options
	loop *loop.Loop
	ran  chan error
	rng  *rand.Rand // the spawner's

	servers []*loop.Server
	dialed  net.Listener // to which the loop connects
	peers   sync.WaitGroup
	quiet   chan struct{} // closed when nobody shall begin anything
	wake    chan struct{} // closed when those that are parked shall go on
	parked  atomic.Int64

	actors map[*actor]bool // the loop's
	silent bool            // the loop's: quiet is closed
	strays int             // the loop's: accepted when their peer was gone already

	mail      *mail
	datagrams atomic.Int64

	mu       sync.Mutex
	nextID   uint64
	live     map[uint64]*link
	failures []string
	count    struct {
		links, complete, resets, ends, parked int
		bytes                                 uint64
	}
}

// newWorld makes a world's loop.
func newWorld(engine loop.Engine, seed uint64, size worldSize) (*world, error) {
	w := &world{seed: seed, size: size, rng: rand.New(rand.NewPCG(seed, 0)),
		quiet: make(chan struct{}), wake: make(chan struct{}), ran: make(chan error, 1),
		actors: map[*actor]bool{}, live: map[uint64]*link{}}
	entries := uint32(1) << w.rng.IntN(5)
	w.opts = loop.Options{Engine: engine, Entries: entries, CQEntries: entries,
		FlowPage: w.rng.IntN(3) == 0, Buffers: loop.BufferOptions{
			Size: pick(w.rng, 512, 4<<10, 64<<10), Min: 1, Max: pick(w.rng, 1, 2, 16)}}
	w.size.live = min(size.live, descriptorLimit()/3)
	var err error
	w.loop, err = loop.New(&w.opts)
	return w, err
}

// descriptorLimit is how many descriptors the process may have.
func descriptorLimit() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 1024
	}
	return int(min(limit.Cur, 1<<20))
}

func pick[T any](rng *rand.Rand, of ...T) T { return of[rng.IntN(len(of))] }

// String says what the seed decided.
func (w *world) String() string {
	return fmt.Sprintf("seed %d, entries %d, buffers %+v, flow page %v", w.seed,
		w.opts.Entries, w.opts.Buffers, w.opts.FlowPage)
}

// failf notes what is wrong. Any goroutine.
func (w *world) failf(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.failures) < 20 {
		w.failures = append(w.failures, fmt.Sprintf(format, args...))
	}
}

// failed reports whether something is wrong.
func (w *world) failed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.failures) > 0
}

// run is the world's life.
func (w *world) run() {
	go func() { w.ran <- w.loop.RunForever() }()
	looptest.Do(w.loop, func() { w.loop.SetExceptionHandler(w.exception) })
	if err := w.listen(); err != nil {
		w.failf("listening: %v", err)
	} else {
		stopLitter := exacttest.Litter(time.Millisecond)
		looptest.Do(w.loop, w.fanOut)
		w.populate()
		w.settle()
		stopLitter()
		w.idle()
	}
	w.end()
}

// exception is the loop's exception handler.
func (w *world) exception(e loop.Exception) { w.failf("exception: %s: %v", e.Message, e.Err) }

// populate makes connections until the time is up.
func (w *world) populate() {
	rest := time.NewTimer(0)
	defer rest.Stop()
	<-rest.C
	for end := time.Now().Add(w.size.span); time.Now().Before(end) && !w.failed(); {
		for w.liveCount() < w.size.live {
			w.spawn()
			if w.rng.IntN(20) == 0 {
				break
			}
		}
		rest.Reset(time.Millisecond)
		<-rest.C
	}
}

func (w *world) liveCount() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.live)
}

// settle has everybody finish who can, and waits until the others are parked.
func (w *world) settle() {
	close(w.quiet)
	looptest.Do(w.loop, func() {
		w.silent = true
		for a := range w.actors {
			a.windUp()
		}
	})
	w.await("the world to come to rest", func() bool {
		looptest.Do(w.loop, w.sweep)
		return int64(w.liveCount()) == w.parked.Load()
	})
	w.mu.Lock()
	w.count.parked += len(w.live)
	w.mu.Unlock()
}

// sweep forgets connections that were reset before the loop accepted them: they have no
// peer's name any more, so that nobody knows whose they were. On the loop's goroutine.
func (w *world) sweep() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, l := range w.live {
		if w.strays > 0 && l.kind == tcpAccepted && l.actor == nil && l.left.Load() == 1 &&
			l.peer.left.Load() {
			w.strays--
			delete(w.live, id)
		}
	}
}

// idle checks that a loop whose peers do nothing does nothing either.
func (w *world) idle() {
	const span, calls, cpu = 200 * time.Millisecond, 20, 40 * time.Millisecond
	leastCalls, leastCPU := uint64(1<<62), time.Hour
	for range 5 {
		var before, after loop.Stats
		passed := make(chan struct{})
		used := processorTime()
		looptest.Do(w.loop, func() {
			before = w.loop.Stats()
			w.loop.CallLater(span, func() { close(passed) })
		})
		<-passed
		looptest.Do(w.loop, func() { after = w.loop.Stats() })
		leastCalls = min(leastCalls, after.Syscalls-before.Syscalls)
		leastCPU = min(leastCPU, processorTime()-used)
		if leastCalls <= calls && leastCPU <= cpu {
			return
		}
	}
	w.failf("idle with %d parked peers: %d system calls and %v of a processor in %v",
		w.parked.Load(), leastCalls, leastCPU, span)
	w.describeLive()
}

// processorTime is what the process has used so far.
func processorTime() time.Duration {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		return 0
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// end wakes the parked, waits for the end of all connections, and shuts the loop down.
func (w *world) end() {
	looptest.Do(w.loop, func() {
		for a := range w.actors {
			a.finish()
		}
	})
	close(w.wake)
	w.await("the last connections to end", func() bool { return w.liveCount() == 0 })
	for _, s := range w.servers {
		s.Close()
	}
	if w.dialed != nil {
		w.dialed.Close()
	}
	w.mail.close()
	w.await("the last transport to go", func() (none bool) {
		looptest.Do(w.loop, func() { none = w.loop.Stats().Transports == 0 })
		return none
	})
	ctx, cancel := context.WithTimeout(context.Background(), waitTimeout)
	defer cancel()
	if err := w.loop.Shutdown(ctx); err != nil {
		w.failf("Shutdown: %v", err)
	}
	if err := <-w.ran; err != nil {
		w.failf("RunForever: %v", err)
	}
	w.peers.Wait()
}

// await waits until cond holds, and says which connections are left where it does not.
func (w *world) await(what string, cond func() bool) {
	rest := time.NewTicker(2 * time.Millisecond)
	defer rest.Stop()
	limit := waitTimeout
	if w.failed() {
		limit = waitTimeout / 20 // it is broken anyway
	}
	for end := time.Now().Add(limit); !cond(); <-rest.C {
		if time.Now().After(end) {
			w.failf("timed out waiting for %s", what)
			w.describeLive()
			w.abandon()
			return
		}
	}
}

// describeLive adds the connections that are left to the failures.
func (w *world) describeLive() {
	w.mu.Lock()
	var left []*link
	for _, l := range w.live {
		if len(left) < 10 {
			left = append(left, l)
		}
	}
	w.mu.Unlock()
	for _, l := range left {
		looptest.Do(w.loop, func() { w.failf("still there: %s", l.describe()) })
	}
}

// abandon ends what does not end by itself, after a failure.
func (w *world) abandon() {
	w.mu.Lock()
	var left []*link
	for _, l := range w.live {
		left = append(left, l)
	}
	w.live = map[uint64]*link{}
	w.mu.Unlock()
	for _, l := range left {
		l.peer.giveUp()
	}
	looptest.Do(w.loop, func() {
		for a := range w.actors {
			a.abort()
		}
	})
}

// fanOut writes something to everybody in one round, now and then.
func (w *world) fanOut() {
	if w.silent {
		return
	}
	rng := rand.New(rand.NewPCG(w.seed, uint64(w.loop.Time())))
	n := pick(rng, 1, 10, 100, 1000)
	for a := range w.actors {
		if a.writes() && a.t.WriteBufferSize() < 256<<10 {
			a.write(n)
		}
	}
	w.loop.CallLater(time.Duration(1+rng.IntN(20))*time.Millisecond, w.fanOut)
}
