package schedule_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

func TestS414_ASlowProtocolIsLoggedWithItsStack(t *testing.T) {
	for _, callback := range []string{"DataReceived", "BufferUpdated", "EOFReceived"} {
		t.Run(callback, func(t *testing.T) { slowCallback(t, callback) })
	}
}

// slowCallback lets one callback of a recorder take too long, again and again
// until the timer has fired in time: the machine may be busy.
func slowCallback(t *testing.T, callback string) {
	log := &rig.Lines{}
	looptest.EnginesWith(t, rig.DebugOptions(log), func(t *testing.T, l *loop.Loop) {
		if l.Engine().String() == "sim" {
			t.Skip("needs a clock that passes by itself")
		}
		*log = rig.Lines{}
		looptest.Do(l, func() { l.SlowCallbackDuration = 5 * time.Millisecond })
		logged := func() bool {
			return log.Contains("Executing "+callback+" of *transporttest.") &&
				log.Contains("rig.Stall")
		}
		for began := time.Now(); !logged(); {
			if time.Since(began) > looptest.WaitTimeout {
				t.Fatal("not logged")
			}
			tryCallback(t, l, callback)
		}
	})
}

// tryCallback has one connection make the callback.
func tryCallback(t *testing.T, l *loop.Loop, callback string) {
	server, client := transporttest.NewRecorder(t), transporttest.NewRecorder(t)
	server.On.Data = func([]byte) { rig.Stall(l) }
	server.On.Updated = func(int) { rig.Stall(l) }
	server.On.EOF = func() bool {
		if callback == "EOFReceived" {
			rig.Stall(l)
		}
		return false
	}
	if callback == "BufferUpdated" {
		rig.ConnectTCP(t, l, server.Buffered(100), client)
	} else {
		rig.ConnectTCP(t, l, server, client)
	}
	looptest.Do(l, func() {
		if callback != "EOFReceived" {
			client.Transport().Write([]byte("x"))
		}
		client.Transport().WriteEOF()
	})
	rig.WaitLost(t, l, server)
	rig.WaitLost(t, l, client)
}

func TestS417_DebugModeLogsConnectionsAndWhatBecomesOfReading(t *testing.T) {
	log := &rig.Lines{}
	looptest.EnginesWith(t, rig.DebugOptions(log), func(t *testing.T, l *loop.Loop) {
		*log = rig.Lines{}
		l.SetDebug(false)
		quiet, _ := rig.Pair(t, l)
		looptest.Do(l, func() { quiet.Transport().PauseReading() })
		if log.Contains("level=DEBUG") {
			t.Error("logs although debug mode is off")
		}
		l.SetDebug(true)
		server, client := rig.Pair(t, l)
		looptest.Do(l, func() {
			server.Transport().PauseReading()
			server.Transport().ResumeReading()
			client.Transport().WriteEOF()
		})
		rig.WaitLost(t, l, server)
		for _, event := range []string{"got a new connection", "connected",
			"pauses reading", "resumes reading", "received EOF"} {
			if !log.Contains(`level=DEBUG msg="`+event) && !log.Contains("msg="+event+" ") {
				t.Errorf("no log of %q", event)
			}
		}
		broken, dead := rig.Pair(t, l)
		looptest.Do(l, func() { looptest.Reset(l, dead.Transport()) })
		rig.WaitLost(t, l, broken)
		if !log.Contains("Fatal read error on socket transport") {
			t.Error("no log of a read error")
		}
	})
}

func TestS417_DebugModeLogsResolution(t *testing.T) {
	log := &rig.Lines{}
	looptest.EnginesWith(t, rig.DebugOptions(log), func(t *testing.T, l *loop.Loop) {
		*log = rig.Lines{}
		rig.Serve(t, l, "localhost:0", nil)
		if !log.Contains("resolved") || !log.Contains("localhost:0") {
			t.Error("no log of a resolution")
		}
	})
}

func TestS416_ReportsSayInDebugModeWhereThingsWereMade(t *testing.T) {
	log := &rig.Lines{}
	looptest.EnginesWith(t, rig.DebugOptions(log), func(t *testing.T, l *loop.Loop) {
		*log = rig.Lines{}
		l.SetExceptionHandler(nil)
		looptest.Do(l, func() { scheduleTrouble(l) })
		looptest.WaitFor(t, l, "the report", func() bool { return log.Contains("planned") })
		if !log.Contains("created=") || !log.Contains("schedule_test.scheduleTrouble") {
			t.Error("the report does not say where the handle was made")
		}
		*log = rig.Lines{}
		server, client := rig.Pair(t, l)
		server.On.Data = func([]byte) { panic("planned") }
		looptest.Do(l, func() { client.Transport().Write([]byte("x")) })
		rig.WaitLost(t, l, server)
		if !log.Contains("created=") || !log.Contains("rig.ConnectTCP") {
			t.Error("the report does not say where the transport was asked for")
		}
	})
}

func scheduleTrouble(l *loop.Loop) { l.CallSoon(func() { panic("planned") }) }

func TestS035_UnclosedTransportsAreLoggedInDebugMode(t *testing.T) {
	log := &rig.Lines{}
	looptest.EnginesWith(t, rig.DebugOptions(log), func(t *testing.T, l *loop.Loop) {
		*log = rig.Lines{}
		rig.ConnectTCP(t, l, &rig.CountingProtocol{}, &rig.CountingProtocol{})
		rig.CloseRunning(t, l)
		lines := unclosed(log)
		if len(lines) != 2 {
			t.Errorf("%d transports are logged, 2 were left open", len(lines))
		}
		for _, line := range lines {
			if !strings.Contains(line, "rig.ConnectTCP") {
				t.Errorf("does not say where it was made: %s", line)
			}
		}
	})
}

func TestS039_DebugModeSpoilsASliceThatAProtocolKeeps(t *testing.T) {
	looptest.EnginesWith(t, loop.Options{Debug: true}, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		var kept []byte
		server.On.Data = func(data []byte) { kept = data }
		looptest.Do(l, func() { client.Transport().Write([]byte("kept")) })
		looptest.WaitFor(t, l, "data", func() bool { return server.Received() == 4 })
		looptest.Do(l, func() {
			if string(kept) == "kept" || len(kept) != 4 {
				t.Errorf("the slice reads %q after the callback", kept)
			}
		})
	})
}

// messages412 are what the exception handler is told when callback panics.
var messages412 = []struct{ callback, message string }{
	{"ConnectionMade", "Fatal error: protocol.connection_made() call failed."},
	{"DataReceived", "Fatal error: protocol.data_received() call failed."},
	{"GetBuffer", "Fatal error: protocol.get_buffer() call failed."},
	{"BufferUpdated", "Fatal error: protocol.buffer_updated() call failed."},
	{"EOFReceived", "Fatal error: protocol.eof_received() call failed."},
	{"PauseWriting", "protocol.pause_writing() failed"},
	{"ResumeWriting", "protocol.resume_writing() failed"},
	{"ConnectionLost", "Exception in callback protocol.connection_lost()"},
	{"callback", "Exception in callback"},
}

// The messages for accept and for factories are those of S248 and S002.
func TestS412_MessagesAreThoseOfAsyncio(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		for _, c := range messages412 {
			looptest.Expect(l, c.message)
			panicIn(t, l, c.callback)
			seen := looptest.Exceptions(l)
			last := seen[len(seen)-1]
			if last.Message != c.message {
				t.Errorf("%s: reported %q", c.callback, last.Message)
			}
			if text := last.Err.Error(); !bytes.Contains([]byte(text), []byte(c.callback)) {
				t.Errorf("the error %q does not name %s", text, c.callback)
			}
		}
	})
}

// panicIn makes a connection whose server's side panics in one callback, once.
func panicIn(t *testing.T, l *loop.Loop, callback string) {
	t.Helper()
	before := len(looptest.Exceptions(l))
	boom := func(name string) {
		if name == callback {
			callback = ""
			panic("planned")
		}
	}
	server, client := transporttest.NewRecorder(t), transporttest.NewRecorder(t)
	server.On = transporttest.Hooks{
		Made:    func(transport.Transport) { boom("ConnectionMade") },
		Data:    func([]byte) { boom("DataReceived") },
		Get:     func(int) []byte { boom("GetBuffer"); return make([]byte, 10) },
		Updated: func(int) { boom("BufferUpdated") },
		EOF:     func() bool { boom("EOFReceived"); return true },
		Pause:   func() { boom("PauseWriting") },
		Resume:  func() { boom("ResumeWriting") },
		Lost:    func(error) { boom("ConnectionLost") },
	}
	p := server.Buffered(10)
	if callback == "DataReceived" {
		p = server
	}
	rig.ConnectTCP(t, l, p, client)
	looptest.Do(l, func() {
		l.CallSoon(func() { boom("callback") })
		switch callback {
		case "PauseWriting", "ResumeWriting":
			server.Transport().SetWriteBufferLimits(transport.Limits{})
			server.Transport().Write(make([]byte, 8<<20)) // more than a kernel takes
		case "ConnectionLost":
			server.Transport().Abort()
		default:
			client.Transport().Write([]byte("x"))
			client.Transport().WriteEOF()
		}
	})
	looptest.WaitFor(t, l, "the report", func() bool {
		return len(looptest.Exceptions(l)) > before
	})
	looptest.Do(l, server.Transport().Abort)
	rig.WaitLost(t, l, server)
	rig.WaitLost(t, l, client)
}
