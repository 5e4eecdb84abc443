package schedule_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/transport"
)

func TestPanicsOfTheTraceAreReportedAndSurvived(t *testing.T) {
	flow := func(transport.BaseTransport, int, transport.Limits) { panic("planned") }
	o := loop.Options{Buffers: loop.BufferOptions{Size: 4 << 10}, Trace: &loop.Trace{
		PauseWriting: flow, ResumeWriting: flow,
		Fallback: func(string, error) { panic("planned") },
	}}
	looptest.EnginesWith(t, o, func(t *testing.T, l *loop.Loop) {
		for _, hook := range []string{"Fallback", "PauseWriting", "ResumeWriting"} {
			looptest.Expect(l, "Exception in Trace."+hook)
		}
		rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
			loop.DatagramOptions{LocalAddr: "127.0.0.1:0", GRO: true})
		server, client := rig.Pair(t, l)
		const size = 6 << 20
		looptest.Do(l, func() { client.Transport().Write(make([]byte, size)) })
		looptest.WaitFor(t, l, "the data", func() bool { return server.Received() == size })
		looptest.WaitFor(t, l, "ResumeWriting", func() bool { return client.Count("resume") == 1 })
		if n := client.Count("pause"); n != 1 {
			t.Errorf("PauseWriting was called %d times", n)
		}
	})
}

func TestPanicsOfSlowCallbackAreReportedAndSurvived(t *testing.T) {
	o := loop.Options{Debug: true, Logger: slog.New(slog.DiscardHandler), Trace: &loop.Trace{
		SlowCallback: func(time.Duration) { panic("planned") }}}
	looptest.EnginesWith(t, o, func(t *testing.T, l *loop.Loop) {
		if l.Engine().String() == "sim" {
			t.Skip("needs a clock on which a callback takes time")
		}
		reports := 0
		l.SetExceptionHandler(func(e loop.Exception) {
			if e.Message == "Exception in Trace.SlowCallback" {
				reports++
			} else {
				t.Errorf("%s: %v", e.Message, e.Err)
			}
		})
		looptest.Do(l, func() { l.SlowCallbackDuration = 1 })
		looptest.Turns(l, 3)
		looptest.Do(l, func() { l.SlowCallbackDuration = time.Hour })
		looptest.WaitFor(t, l, "a report", func() bool { return reports > 0 })
	})
}
