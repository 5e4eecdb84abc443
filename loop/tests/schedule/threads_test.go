package schedule_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
)

func TestS398_RunInExecutor(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		planned := errors.New("planned")
		var results []error
		looptest.Do(l, func() {
			for _, f := range []func() error{
				func() error { return nil },
				func() error { return planned },
				func() error { panic("planned") },
			} {
				l.RunInExecutor(f, func(err error) { results = append(results, err) })
			}
		})
		looptest.WaitFor(t, l, "three results", func() bool { return len(results) == 3 })
		var p *protocol.PanicError
		if err := errors.Join(results...); !errors.Is(err, planned) || !errors.As(err, &p) {
			t.Errorf("results %v", results)
		}
	})
}

func TestS400_SignalHandlers(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		first, second := 0, 0
		looptest.Do(l, func() {
			if err := l.AddSignalHandler(syscall.SIGUSR1, func() { first++ }); err != nil {
				t.Error(err)
			}
		})
		kill(t, syscall.SIGUSR1)
		looptest.WaitFor(t, l, "the handler", func() bool { return first == 1 })
		looptest.Do(l, func() {
			if err := l.AddSignalHandler(syscall.SIGUSR1, func() { second++ }); err != nil {
				t.Error(err)
			}
		})
		kill(t, syscall.SIGUSR1)
		looptest.WaitFor(t, l, "the new handler", func() bool { return second == 1 })
		looptest.Do(l, func() {
			if !l.RemoveSignalHandler(syscall.SIGUSR1) || l.RemoveSignalHandler(syscall.SIGUSR1) {
				t.Error("RemoveSignalHandler does not tell")
			}
		})
		if first != 1 {
			t.Errorf("the replaced handler ran %d times", first)
		}
	})
}

func kill(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(os.Getpid(), sig); err != nil {
		t.Fatal(err)
	}
}

// noSignal is of another operating system, say.
type noSignal struct{}

func (noSignal) Signal()        {}
func (noSignal) String() string { return "no signal" }

func TestS402_SignalsThatCannotBeCaughtAreRefused(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		looptest.Do(l, func() {
			refused := []os.Signal{syscall.SIGKILL, syscall.SIGSTOP, nil, noSignal{}}
			for _, n := range []int{math.MinInt, -1, 0, 32, 33, 34, 65, 200, math.MaxInt} {
				refused = append(refused, syscall.Signal(n))
			}
			for _, sig := range refused {
				err := l.AddSignalHandler(sig, func() {})
				if !errors.Is(err, loop.ErrBadSignal) {
					t.Errorf("AddSignalHandler(%v): %v", sig, err)
				}
			}
			for _, n := range []syscall.Signal{1, 10, 35, 64} {
				err := l.AddSignalHandler(n, func() {})
				if err != nil || !l.RemoveSignalHandler(n) {
					t.Errorf("AddSignalHandler(%v): %v", n, err)
				}
			}
			if l.RemoveSignalHandler(syscall.SIGHUP) {
				t.Error("removed a handler that was not there")
			}
		})
	})
}

func TestS403_AfterCloseNoSignalHandlerIsAdded(t *testing.T) {
	l := idle(t)
	if err := l.AddSignalHandler(syscall.SIGUSR2, func() {}); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.AddSignalHandler(syscall.SIGUSR2, func() {}); !errors.Is(err, loop.ErrLoopClosed) {
		t.Errorf("AddSignalHandler: %v", err)
	}
}

func TestS407_ExceptionHandler(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		var seen []loop.Exception
		l.SetExceptionHandler(func(e loop.Exception) { seen = append(seen, e) })
		server, client := rig.Pair(t, l)
		server.On.Data = func([]byte) { panic("planned") }
		looptest.Do(l, func() { client.Transport().Write([]byte("x")) })
		looptest.WaitFor(t, l, "the report", func() bool { return len(seen) == 1 })
		e := seen[0]
		if e.Transport != server.Transport() || e.Protocol != protocol.Protocol(server) ||
			e.Err == nil || e.Message != "Fatal error: protocol.data_received() call failed." {
			t.Errorf("reported %+v", e)
		}
	})
}

func TestS409_WithoutAHandlerItIsLogged(t *testing.T) {
	log := &rig.Lines{}
	o := loop.Options{Logger: slog.New(slog.NewTextHandler(log, nil))}
	looptest.EnginesWith(t, o, func(t *testing.T, l *loop.Loop) {
		l.SetExceptionHandler(nil)
		looptest.Do(l, func() { l.CallSoon(func() { panic("first") }) })
		looptest.WaitFor(t, l, "the log", func() bool {
			return log.Contains("Exception in callback") && log.Contains("first") &&
				log.Contains("level=ERROR")
		})
		l.SetExceptionHandler(func(loop.Exception) { panic("handler") })
		looptest.Do(l, func() { l.CallSoon(func() { panic("second") }) })
		looptest.WaitFor(t, l, "the log of the handler's panic", func() bool {
			return log.Contains("Unhandled error in exception handler")
		})
	})
}

func TestS413_DebugMode(t *testing.T) {
	t.Setenv("SLUICE_DEBUG", "1")
	l := idle(t)
	if !l.Debug() {
		t.Error("SLUICE_DEBUG=1 does not turn debug mode on")
	}
	l.SetDebug(false)
	if l.Debug() {
		t.Error("SetDebug(false) does not turn it off")
	}
	t.Setenv("SLUICE_DEBUG", "")
	quiet, err := loop.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer quiet.Close()
	debug, err := loop.New(&loop.Options{Debug: true})
	if err != nil {
		t.Fatal(err)
	}
	defer debug.Close()
	if quiet.Debug() || !debug.Debug() {
		t.Errorf("debug mode %v by default, %v by Options.Debug", quiet.Debug(), debug.Debug())
	}
}

func TestS414_SlowCallbacksAreLoggedInDebugMode(t *testing.T) {
	log, slow := &rig.Lines{}, time.Duration(0)
	o := loop.Options{Logger: slog.New(slog.NewTextHandler(log, nil)), Debug: true,
		Trace: &loop.Trace{SlowCallback: func(d time.Duration) { slow = max(slow, d) }}}
	looptest.EnginesWith(t, o, func(t *testing.T, l *loop.Loop) {
		if l.Engine().String() == "sim" {
			t.Skip("needs a clock that passes by itself")
		}
		looptest.Do(l, func() {
			l.SlowCallbackDuration = time.Millisecond
			l.CallSoon(func() {
				for began := l.Time(); l.Time()-began < 2*time.Millisecond; {
				}
			})
		})
		looptest.WaitFor(t, l, "the log", func() bool { return log.Contains("Executing") })
		if slow < 2*time.Millisecond {
			t.Errorf("Trace.SlowCallback got %v", slow)
		}
	})
}

func TestS030_S415_DebugModePanicsOnTheWrongGoroutine(t *testing.T) {
	looptest.EnginesWith(t, loop.Options{Debug: true}, func(t *testing.T, l *loop.Loop) {
		server, _ := rig.Pair(t, l)
		for name, f := range map[string]func(){
			"CallSoon":  func() { l.CallSoon(func() {}) },
			"CallLater": func() { l.CallLater(0, func() {}) },
			"Write":     func() { server.Transport().Write([]byte("x")) },
			"Close":     func() { server.Transport().Close() },
		} {
			func() {
				defer func() {
					if r := recover(); r == nil {
						t.Errorf("%s on another goroutine does not panic", name)
					}
				}()
				f()
			}()
		}
	})
}

func TestS121_GoexitInACallbackClosesTheLoop(t *testing.T) {
	l := idle(t)
	l.CallSoon(runtime.Goexit)
	if err := l.RunForever(); !errors.Is(err, loop.ErrGoexit) {
		t.Errorf("RunForever: %v", err)
	}
	if err := l.RunForever(); !errors.Is(err, loop.ErrLoopClosed) {
		t.Errorf("RunForever afterwards: %v", err)
	}
}

func TestS421_ShutdownLetsTransportsFlush(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		server, peer := rig.Outside(t, l)
		const size = 16 << 20
		looptest.Do(l, func() { server.Transport().Write(make([]byte, size)) })
		received := make(chan int64, 1)
		go func() {
			n, _ := io.Copy(io.Discard, peer)
			received <- n
		}()
		if err := l.Shutdown(rig.WithTimeout(t)); err != nil {
			t.Error(err)
		}
		if n := <-received; n != size {
			t.Errorf("the peer received %d of %d bytes", n, size)
		}
		if lost, err := server.Lost(); !lost || err != nil {
			t.Errorf("ConnectionLost %v, %v", lost, err)
		}
		if err := l.Shutdown(t.Context()); !errors.Is(err, loop.ErrLoopClosed) {
			t.Errorf("a second Shutdown: %v", err)
		}
	})
}

func TestS399_ShutdownWaitsForTheExecutor(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		release, finished := make(chan struct{}), false
		looptest.Do(l, func() {
			l.RunInExecutor(func() error { <-release; return nil },
				func(error) { finished = true })
		})
		done := make(chan error, 1)
		go func() { done <- l.Shutdown(context.Background()) }()
		looptest.Turns(l, 3)
		if len(done) > 0 {
			t.Error("Shutdown did not wait")
		}
		close(release)
		if err := <-done; err != nil || !finished {
			t.Errorf("Shutdown: %v, the function's end was told: %v", err, finished)
		}
	})
}

func TestS036_ShutdownAbortsWhatDoesNotFlush(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		server, _ := rig.Outside(t, l)
		looptest.Do(l, func() { server.Transport().Write(make([]byte, 16<<20)) })
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := l.Shutdown(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Shutdown: %v", err)
		}
		if lost, err := server.Lost(); !lost || !errors.Is(err, loop.ErrLoopClosed) {
			t.Errorf("ConnectionLost %v, %v", lost, err)
		}
	})
}

func TestS420_CloseWithOpenTransportsLeavesNothingOpen(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		rig.ConnectTCP(t, l, &rig.CountingProtocol{}, &rig.CountingProtocol{})
		l.Stop()
		looptest.Turns(l, 0)
		for {
			if err := l.Close(); !errors.Is(err, loop.ErrLoopRunning) {
				if err != nil {
					t.Error(err)
				}
				return
			}
			runtime.Gosched()
		}
	})
}
