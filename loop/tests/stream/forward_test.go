package stream_test

import (
	"errors"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/internal/exacttest"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// fewBuffers makes a lack of receive buffers show.
var fewBuffers = loop.Options{Buffers: loop.BufferOptions{Min: 1, Max: 4, Size: 16 << 10}}

// forwards are ways to pass on what was received.
var forwards = []struct {
	name string
	do   func(t transport.Transport, data []byte) error
}{
	{"whole", func(t transport.Transport, data []byte) error {
		_, err := t.Write(data)
		return err
	}},
	{"halves", func(t transport.Transport, data []byte) error {
		t.Write(data[:len(data)/2])
		_, err := t.Write(data[len(data)/2:])
		return err
	}},
	{"lines", func(t transport.Transport, data []byte) error {
		part := len(data) / 3
		return t.WriteLines([][]byte{data[:part], data[part : 2*part], nil, data[2*part:]})
	}},
	{"a copy between parts", func(t transport.Transport, data []byte) error {
		part := len(data) / 3
		t.Write(data[:part])
		t.Write(append([]byte(nil), data[part:2*part]...))
		_, err := t.Write(data[2*part:])
		return err
	}},
	{"the last part is changed first", func(t transport.Transport, data []byte) error {
		last := data[len(data)/2:]
		kept := append([]byte(nil), last...)
		clear(last)
		t.Write(data[:len(data)/2])
		copy(last, kept)
		_, err := t.Write(last)
		return err
	}},
}

// relay has everything that one receives written to another's transport, which is closed
// at the end. Each pauses the other.
func relay(from, to *transporttest.Recorder, do func(transport.Transport, []byte) error) {
	from.On.Data = func(data []byte) {
		if err := do(to.Transport(), data); err != nil {
			panic(err)
		}
	}
	from.On.EOF = func() bool {
		to.Transport().Close()
		return false
	}
	to.On.Pause = func() { from.Transport().PauseReading() }
	to.On.Resume = func() { from.Transport().ResumeReading() }
}

func TestWhatIsPassedOnToAnotherConnectionArrives(t *testing.T) {
	size := rig.Amount(2 << 20)
	for _, f := range forwards {
		t.Run(f.name, func(t *testing.T) {
			looptest.EnginesWith(t, fewBuffers, func(t *testing.T, l *loop.Loop) {
				in, source := rig.Pair(t, l)
				out, sink := rig.Pair(t, l)
				relay(in, out, f.do)
				looptest.Do(l, func() {
					source.Transport().Write(exacttest.Bytes(size, 5, 0))
					source.Transport().WriteEOF()
				})
				looptest.WaitFor(t, l, "the end", func() bool { return sink.GotEOF() })
				got := sink.Data()
				if err := exacttest.Check(got, 5, 0); err != nil || len(got) != size {
					t.Errorf("%d of %d bytes arrived: %v", len(got), size, err)
				}
			})
		})
	}
}

func TestAnEchoOfLargeMessagesArrives(t *testing.T) {
	size := rig.Amount(1 << 20)
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		server.On.Data = func(data []byte) { server.Transport().Write(data) }
		server.On.EOF = func() bool {
			server.Transport().WriteEOF()
			return false
		}
		looptest.Do(l, func() {
			client.Transport().Write(exacttest.Bytes(size, 6, 0))
			client.Transport().WriteEOF()
		})
		client.On.EOF = func() bool { return false }
		looptest.WaitFor(t, l, "the end", func() bool { return client.GotEOF() })
		got := client.Data()
		if err := exacttest.Check(got, 6, 0); err != nil || len(got) != size {
			t.Errorf("%d of %d bytes came back: %v", len(got), size, err)
		}
	})
}

// A protocol that writes to peers that do not read must not use up the buffers from
// which the others receive.
func TestPeersThatDoNotReadHoldNoReceiveBuffers(t *testing.T) {
	const pairs, message = 6, 64 << 10
	looptest.EnginesWith(t, fewBuffers, func(t *testing.T, l *loop.Loop) {
		for range pairs {
			in, source := rig.Pair(t, l)
			out, sink := rig.Pair(t, l)
			in.On.Data = func(data []byte) { out.Transport().Write(data) }
			looptest.Do(l, func() {
				sink.Transport().PauseReading()
				source.Transport().Write(make([]byte, 1<<20))
			})
			looptest.WaitFor(t, l, "all of it", func() bool { return in.Received() == 1<<20 })
			looptest.Do(l, func() {
				simulated := l.Engine().String() == "sim" // room for everything
				if !simulated && out.Transport().WriteBufferSize() == 0 {
					t.Error("the peer has taken everything")
				}
			})
		}
		server, client := rig.Pair(t, l)
		for i := range 3 {
			looptest.Do(l, func() { client.Transport().Write(exacttest.Bytes(message, 7, 0)) })
			looptest.WaitFor(t, l, "another connection", func() bool {
				return server.Received() == (i+1)*message
			})
		}
		looptest.Do(l, func() {
			if n := l.Stats().BuffersInUse; n > 4 {
				t.Errorf("%d receive buffers in use, of 4", n)
			}
		})
	})
}

func TestCloseSendsWhatWasPassedOn(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		server.On.Data = func(data []byte) {
			server.Transport().Write(data)
			server.Transport().Close()
		}
		sent := exacttest.Bytes(16<<10, 8, 0)
		looptest.Do(l, func() { client.Transport().Write(sent) })
		looptest.WaitFor(t, l, "the end", func() bool { lost, _ := client.Lost(); return lost })
		got := client.Data()
		if err := exacttest.Check(got, 8, 0); err != nil || len(got) == 0 ||
			len(got) != server.Received() {
			t.Errorf("%d bytes came back, %d were received: %v", len(got), server.Received(), err)
		}
	})
}

func TestS039_ChangingWhatWasWrittenIsReportedInDebugMode(t *testing.T) {
	const message = "Protocol changed data that it had written."
	looptest.EnginesWith(t, loop.Options{Debug: true}, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		looptest.Expect(l, message)
		calls, changed := 0, false
		server.On.Data = func(data []byte) {
			calls++
			if part := 5 << 10; len(data) > part && !changed {
				server.Transport().Write(data[:part])
				data[part]++ // it was not written
				changed = calls > 1
				if changed {
					data[100]++
				}
			}
		}
		looptest.Do(l, func() { client.Transport().Write(make([]byte, 1<<20)) })
		looptest.WaitFor(t, l, "all of it", func() bool { return server.Received() == 1<<20 })
		seen := looptest.Exceptions(l)
		if !changed || len(seen) != 1 || seen[0].Message != message ||
			!errors.Is(seen[0].Err, protocol.ErrDataChanged) {
			t.Errorf("reported: %v", seen)
		}
	})
}
