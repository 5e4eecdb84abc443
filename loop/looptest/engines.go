package looptest

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/internal/leaktest"
	"github.com/sluice-net/sluice/loop/internal/simio"
)

// SimulationsEnv is the environment variable that, if it is "all", makes Engines run on
// all simulated kernels, which takes longer.
const SimulationsEnv = "SLUICE_SIMULATIONS"

// Engines runs f as a subtest on "uring", on "epoll" and on "simring", which is the
// io_uring engine on a simulated ring. If SLUICE_SIMULATIONS is "all", it also runs f on
// "simepoll", the epoll engine on a simulated epoll, and on "sim", an engine that is
// simulated as a whole. Each subtest gets a loop that runs on a goroutine of its own and
// is shut down at the end of the subtest. The subtest fails if it leaves a transport or
// descriptor open, or if the exception handler was called with something that Expect had
// not announced. A transport is not left open if it is about to end, because it or its
// peer was closed: the loop has WaitTimeout for that. If the machine has no io_uring,
// "uring" is skipped. If the environment variable SLUICE_ENGINE is set, only that engine
// and the simulated ones are run. With -short, "epoll" is skipped where "uring" runs.
func Engines(t *testing.T, f func(t *testing.T, l *loop.Loop)) {
	t.Helper()
	EnginesWith(t, loop.Options{}, f)
}

// EnginesWith is Engines with options for the loop; Engine is filled in.
func EnginesWith(t *testing.T, o loop.Options, f func(t *testing.T, l *loop.Loop)) {
	t.Helper()
	t.Run("uring", func(t *testing.T) { f(t, onKernel(t, o, loop.Uring)) })
	t.Run("epoll", func(t *testing.T) {
		if testing.Short() && hasUring() {
			t.Skip("with -short, only one engine meets the kernel")
		}
		f(t, onKernel(t, o, loop.Epoll))
	})
	t.Run("simring", func(t *testing.T) { f(t, simulatedLoop(t, o, onRing)) })
	if os.Getenv(SimulationsEnv) != "all" {
		return
	}
	t.Run("simepoll", func(t *testing.T) { f(t, simulatedLoop(t, o, onEpoll)) })
	t.Run("sim", func(t *testing.T) { f(t, simulatedLoop(t, o, whole)) })
}

// hasUring reports whether tests may and can use io_uring.
func hasUring() bool {
	l, err := loop.New(&loop.Options{Engine: loop.Uring})
	if err == nil {
		l.Close()
	}
	return err == nil && allowed(loop.Uring)
}

// allowed reports whether SLUICE_ENGINE lets tests use engine.
func allowed(engine loop.Engine) bool {
	want := strings.ToLower(os.Getenv(loop.EngineEnv))
	return want == "" || want == "auto" || strings.HasSuffix(engine.String(), want)
}

// onKernel starts a loop on an engine on the machine's own kernel.
func onKernel(t *testing.T, o loop.Options, engine loop.Engine) *loop.Loop {
	if !allowed(engine) {
		t.Skipf("needs %s to allow %v, not %q", loop.EngineEnv, engine, os.Getenv(loop.EngineEnv))
	}
	before := leaktest.Descriptors()
	o.Engine = engine
	l, err := loop.New(&o)
	if err != nil && engine == loop.Uring {
		t.Skipf("needs io_uring (%v)", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, leak := range leaktest.Leaks(before) {
			if strings.HasPrefix(leak, "descriptor") {
				t.Error("left open:", leak)
			}
		}
	})
	run(t, l, nil)
	return l
}

// simulatedLoop starts a loop on a simulated kernel without faults.
func simulatedLoop(t *testing.T, o loop.Options, kind simulated) *loop.Loop {
	sim, l := simulate(simio.Options{Seed: 1}, kind, &o)
	t.Cleanup(func() {
		for _, leak := range sim.Leaks() {
			t.Error("left open:", leak)
		}
	})
	run(t, l, sim)
	return l
}

// run runs l until the end of the test, and then shuts it down. sim is the simulation of
// a simulated loop, or nil.
func run(tb testing.TB, l *loop.Loop, sim *simulation) {
	w := watchOver(l, sim)
	ended := make(chan error, 1)
	go func() { ended <- l.RunForever() }()
	Do(l, func() {})
	tb.Cleanup(func() {
		defer watches.Delete(l)
		allEnd(tb, l, timeouts{WaitTimeout, realTimeout})
		ctx, cancel := context.WithTimeout(context.Background(), WaitTimeout)
		defer cancel()
		if err := l.Shutdown(ctx); err != nil && err != loop.ErrLoopClosed {
			tb.Error("Shutdown:", err)
		}
		if err := <-ended; err != nil && err != loop.ErrLoopRunning && err != loop.ErrLoopClosed {
			tb.Error("RunForever:", err)
		}
		w.verdict(tb)
	})
}

// allEnd fails tb if there are transports of l that do not end within limit. What a peer
// has ended is open until the loop has been told, in a round that is yet to come.
func allEnd(tb testing.TB, l *loop.Loop, limit timeouts) {
	n := 0
	switch await(l, limit, func() bool { n = l.Stats().Transports; return n == 0 }) {
	case expired:
		tb.Errorf("%d transports left open", n)
	case stuck:
		tb.Error("loop stands still at the end of the test")
	}
}
