package schedule_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// logTo are options of a loop that logs to log.
func logTo(log *rig.Lines) loop.Options {
	return loop.Options{Logger: slog.New(slog.NewTextHandler(log, nil))}
}

func TestS399_ShutdownGivesUpOnTheExecutorWhenItsContextEnds(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		release := make(chan struct{})
		looptest.Do(l, func() {
			l.RunInExecutor(func() error { <-release; return nil },
				func(error) { t.Error("the function's end was told after Shutdown") })
		})
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		ended := make(chan error, 1)
		go func() { ended <- l.Shutdown(ctx) }()
		select {
		case err := <-ended:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("Shutdown: %v", err)
			}
		case <-time.After(looptest.WaitTimeout):
			t.Error("Shutdown waits on after the end of its context")
		}
		close(release)
	})
}

func TestS408_AnExceptionSaysWhatItConcerns(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		for _, part := range []string{"Exception in callback",
			"protocol.data_received() call failed", "Error on transport creation"} {
			looptest.Expect(l, part)
		}
		next := func(n int) loop.Exception {
			t.Helper()
			looptest.WaitFor(t, l, "a report", func() bool {
				return len(looptest.Exceptions(l)) == n
			})
			e := looptest.Exceptions(l)[n-1]
			var p *protocol.PanicError
			if e.Message == "" || !errors.As(e.Err, &p) || p.Value != "planned" {
				t.Errorf("reported %+v", e)
			}
			return e
		}
		var h *loop.Handle
		looptest.Do(l, func() { h = l.CallSoon(func() { panic("planned") }) })
		if e := next(1); e.Handle != h || e.Transport != nil || e.Protocol != nil {
			t.Errorf("of a callback: %+v", e)
		}
		server, client := rig.Pair(t, l)
		server.On.Data = func([]byte) { panic("planned") }
		looptest.Do(l, func() { client.Transport().Write([]byte("x")) })
		if e := next(2); e.Handle != nil || e.Transport != server.Transport() ||
			e.Protocol != transport.BaseProtocol(server) {
			t.Errorf("of a protocol: %+v", e)
		}
		s, err := l.CreateServer(rig.WithTimeout(t), func() protocol.Protocol { panic("planned") },
			"127.0.0.1:0", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		connectAndDrop(t, l, s.Addrs()[0].String())
		if e := next(3); e.Handle != nil || e.Transport != nil || e.Protocol != nil {
			t.Errorf("of a factory: %+v", e)
		}
	})
}

// connectAndDrop connects to a server that closes the connection at once.
func connectAndDrop(t *testing.T, l *loop.Loop, addr string) {
	t.Helper()
	r := transporttest.NewRecorder(t)
	if _, err := l.CreateConnection(rig.WithTimeout(t), r, addr, nil); err != nil {
		t.Fatal(err)
	}
	rig.WaitLost(t, l, r)
}

func TestS409_TheLogSaysWhatAPanicConcerns(t *testing.T) {
	log := &rig.Lines{}
	looptest.EnginesWith(t, logTo(log), func(t *testing.T, l *loop.Loop) {
		*log = rig.Lines{}
		l.SetExceptionHandler(nil)
		server, client := rig.Pair(t, l)
		server.On.Data = func([]byte) { panic("planned") }
		looptest.Do(l, func() { client.Transport().Write([]byte("x")) })
		rig.WaitLost(t, l, server)
		for _, part := range []string{"level=ERROR", "protocol.data_received() call failed",
			"planned", "transport=", "protocol=*transporttest.Recorder", "stack=",
			"TestS409_TheLogSaysWhatAPanicConcerns"} {
			if !log.Contains(part) {
				t.Errorf("the log lacks %q", part)
			}
		}
	})
}

func TestS410_AHandlerThatPanicsIsLoggedAndSurvived(t *testing.T) {
	log := &rig.Lines{}
	looptest.EnginesWith(t, logTo(log), func(t *testing.T, l *loop.Loop) {
		*log = rig.Lines{}
		calls, after := 0, false
		l.SetExceptionHandler(func(loop.Exception) {
			calls++
			panic("of the handler")
		})
		looptest.Do(l, func() {
			l.CallSoon(func() { panic("of the callback") })
			l.CallSoon(func() { panic("of another one") })
			l.CallSoon(func() { after = true })
		})
		looptest.WaitFor(t, l, "the rest of the round", func() bool { return after })
		looptest.Do(l, func() {
			if calls != 2 {
				t.Errorf("the handler was called %d times", calls)
			}
		})
		for _, part := range []string{"Unhandled error in exception handler", "of the handler",
			"Exception in callback", "of the callback", "of another one"} {
			if !log.Contains(part) {
				t.Errorf("the log lacks %q", part)
			}
		}
	})
}

func TestS411_TheKernelsErrorsAreNotReportedAndPanicsAre(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		looptest.Do(l, func() { looptest.Reset(l, client.Transport()) })
		rig.WaitLost(t, l, server)
		if _, err := server.Lost(); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("ConnectionLost(%v)", err)
		}
		server, client = rig.Pair(t, l)
		looptest.Do(l, func() { // it learns of the reset by sending
			server.Transport().PauseReading()
			client.Transport().PauseReading()
			server.Transport().Write(make([]byte, 8<<20))
		})
		looptest.Do(l, func() { looptest.Reset(l, client.Transport()) })
		rig.WaitLost(t, l, server)
		if _, err := server.Lost(); !errors.Is(err, syscall.ECONNRESET) &&
			!errors.Is(err, syscall.EPIPE) {
			t.Errorf("ConnectionLost(%v) of a send", err)
		}
		if seen := looptest.Exceptions(l); len(seen) > 0 {
			t.Errorf("reported %+v", seen)
		}
		looptest.Expect(l, "protocol.data_received() call failed")
		server, client = rig.Pair(t, l)
		server.On.Data = func([]byte) { panic(syscall.ECONNRESET) }
		looptest.Do(l, func() { client.Transport().Write([]byte("x")) })
		rig.WaitLost(t, l, server)
		_, lost := server.Lost()
		seen := looptest.Exceptions(l)
		if len(seen) != 1 || seen[0].Err != lost || !errors.Is(lost, syscall.ECONNRESET) {
			t.Errorf("ConnectionLost(%v), reported %+v", lost, seen)
		}
	})
}

// deep calls f at the bottom of a stack of depth frames.
func deep(depth int, f func()) {
	if depth == 0 {
		f()
		return
	}
	deep(depth-1, f)
}

func TestS416_AReportHasTenFramesAtMost(t *testing.T) {
	log := &rig.Lines{}
	o := logTo(log)
	o.Debug = true
	looptest.EnginesWith(t, o, func(t *testing.T, l *loop.Loop) {
		*log = rig.Lines{}
		l.SetExceptionHandler(nil)
		looptest.Do(l, func() {
			deep(50, func() { l.CallSoon(func() { panic("planned") }) })
		})
		looptest.WaitFor(t, l, "the report", func() bool { return log.Contains("created=") })
		_, created, _ := strings.Cut(log.Text(), "created=")
		created, _, _ = strings.Cut(created, "\n")
		if n := strings.Count(created, ".go:"); n != 10 ||
			!strings.Contains(created, "_test.deep") {
			t.Errorf("%d frames: %s", n, created)
		}
	})
}

// What is logged in one round of troubles: a look-up, an exception, a handler's panic, a
// slow callback, a connection, and transports that are open at the end.
func TestS418_EverythingIsLoggedToTheLoopsLogger(t *testing.T) {
	log, others := &rig.Lines{}, &rig.Lines{}
	def := slog.Default()
	defer slog.SetDefault(def)
	slog.SetDefault(slog.New(slog.NewTextHandler(others,
		&slog.HandlerOptions{Level: slog.LevelDebug})))
	looptest.EnginesWith(t, rig.DebugOptions(log), func(t *testing.T, l *loop.Loop) {
		*log = rig.Lines{}
		l.SetExceptionHandler(nil)
		s, err := l.CreateServer(rig.WithTimeout(t), rig.NewMirror, "localhost:0", nil)
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
		rig.ConnectTCP(t, l, &rig.CountingProtocol{}, &rig.CountingProtocol{})
		looptest.Do(l, func() {
			l.SlowCallbackDuration = 1
			l.CallSoon(func() { panic("planned") })
		})
		looptest.Turns(l, 3)
		l.SetExceptionHandler(func(loop.Exception) { panic("planned, too") })
		looptest.Do(l, func() { l.CallSoon(func() { panic("planned") }) })
		looptest.Turns(l, 3)
		looptest.Do(l, func() { l.SlowCallbackDuration = time.Hour })
		rig.CloseRunning(t, l)
		parts := []string{"resolved", "Exception in callback", "connected",
			"Unhandled error in exception handler", "unclosed transport"}
		if l.Engine().String() != "sim" { // whose clock does not pass by itself
			parts = append(parts, "Executing")
		}
		for _, part := range parts {
			if !log.Contains(part) {
				t.Errorf("the loop's log lacks %q", part)
			}
		}
	})
	if others.Contains("level=") {
		t.Errorf("logged elsewhere: %s", others.Text())
	}
}

func TestS420_CloseCallsNoConnectionLost(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := transporttest.NewRecorder(t), transporttest.NewRecorder(t)
		rig.ConnectTCP(t, l, server, client)
		reader, writer := transporttest.NewRecorder(t), transporttest.NewRecorder(t)
		rig.ConnectPipe(t, l, reader, writer)
		rig.CloseRunning(t, l)
		for _, r := range []interface{ Lost() (bool, error) }{server, client, reader, writer} {
			if lost, err := r.Lost(); lost {
				t.Errorf("ConnectionLost(%v)", err)
			}
		}
	})
}

func TestS423_CloseLogsEveryTransportThatIsOpen(t *testing.T) {
	log := &rig.Lines{}
	looptest.EnginesWith(t, rig.DebugOptions(log), func(t *testing.T, l *loop.Loop) {
		*log = rig.Lines{}
		rig.ConnectTCP(t, l, &rig.CountingProtocol{}, &rig.CountingProtocol{})
		rig.ConnectPipe(t, l, transporttest.NewRecorder(t), transporttest.NewRecorder(t))
		_, err := l.CreateDatagramEndpoint(rig.WithTimeout(t), &rig.DatagramRecorder{},
			&rig.AnyPort)
		if err != nil {
			t.Fatal(err)
		}
		rig.CloseRunning(t, l)
		if lines := unclosed(log); len(lines) != 5 {
			t.Errorf("%d transports are logged, 5 were open", len(lines))
		}
		for made, want := range map[string]int{"rig.ConnectTCP": 2, "rig.ConnectPipe": 2,
			"schedule_test.TestS423": 1} {
			n := 0
			for _, line := range unclosed(log) {
				_, created, _ := strings.Cut(line, "created=")
				if strings.Contains(created, made) {
					n++
				}
			}
			if n < want {
				t.Errorf("the log says of %d transports that %s made them, want %d", n, made, want)
			}
		}
	})
}

// unclosed returns what the log says of transports that were left open, a line each.
func unclosed(log *rig.Lines) (lines []string) {
	for line := range strings.Lines(log.Text()) {
		if strings.Contains(line, `msg="unclosed transport"`) {
			lines = append(lines, line)
		}
	}
	return lines
}
