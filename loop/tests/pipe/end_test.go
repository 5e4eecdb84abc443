package pipe_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

func TestS287_TheFileBelongsToTheTransport(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		r, w := rig.Pipe(t)
		reader := transporttest.NewRecorder(t)
		rig.ReadPipe(t, l, reader, r)
		if _, err := r.Stat(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("the file is still open: %v", err)
		}
		if _, err := w.WriteString("x"); err != nil {
			t.Errorf("the pipe has no reader: %v", err)
		}
		rig.WaitTrace(t, l, reader, "made, data 1")
		looptest.Do(l, func() { reader.Transport().Close() })
		rig.WaitLostWith(t, l, reader, nil)
		if _, err := w.WriteString("x"); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("the descriptor is open after ConnectionLost: %v", err)
		}
	})
}

// What waits in the pipe already is no reason to deliver it before ConnectionMade.
func TestS288_ConnectionMadeComesBeforeWhatWaitsAlready(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		r, w := rig.Pipe(t)
		if _, err := w.WriteString("hello"); err != nil {
			t.Fatal(err)
		}
		w.Close()
		reader := transporttest.NewRecorder(t)
		rig.ReadPipe(t, l, reader, r)
		if reader.Transport() == nil {
			t.Error("ConnectReadPipe returned before ConnectionMade")
		}
		rig.WaitTrace(t, l, reader, "made, data 5, eof, lost <nil>")
		rig.WaitLostWith(t, l, reader, nil)
	})
}

// A BufferedProtocol is asked for memory when reading begins.
func TestS288_ConnectionMadeComesBeforeGetBuffer(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		reader, writer := transporttest.NewRecorder(t), transporttest.NewRecorder(t)
		early := false
		reader.On.Get = func(int) []byte {
			early = early || reader.Transport() == nil
			return make([]byte, 10)
		}
		rig.ConnectPipe(t, l, reader.Buffered(1), writer)
		rig.AbortAtEnd(t, l, reader, writer)
		looptest.Do(l, func() { writer.Transport().Write([]byte("hello")) })
		rig.WaitData(t, l, reader, []byte("hello"))
		if early {
			t.Error("GetBuffer before ConnectionMade")
		}
	})
}

func TestS289_TheEndOfInputEndsAPipeWhateverEOFReceivedReturns(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		for _, keepOpen := range []bool{false, true} {
			reader, writer := rig.PipeEnds(t, l)
			reader.On.EOF = func() bool { return keepOpen }
			looptest.Do(l, func() {
				writer.Transport().Write([]byte("hello"))
				writer.Transport().Close()
			})
			rig.WaitTrace(t, l, reader, "made, data 5, eof, lost <nil>")
			rig.WaitLostWith(t, l, reader, nil)
			rig.WaitLostWith(t, l, writer, nil)
		}
	})
}

func TestS290_APipeIsClosingInsideEOFReceived(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		reader, writer := rig.PipeEnds(t, l)
		closing := false
		reader.On.EOF = func() bool {
			closing = reader.Transport().IsClosing()
			return false
		}
		looptest.Do(l, func() { writer.Transport().Close() })
		rig.WaitLostWith(t, l, reader, nil)
		if !closing {
			t.Error("not closing inside EOFReceived")
		}
	})
}

// A socket whose peer closes with unread input is reset.
func TestS292_AReadErrorOfAPipeReachesConnectionLost(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		f, peer := rig.SocketPair(t, syscall.SOCK_STREAM)
		if _, err := f.WriteString("unread"); err != nil {
			t.Fatal(err)
		}
		reader := transporttest.NewRecorder(t)
		rig.ReadPipe(t, l, reader, f)
		peer.Close()
		rig.WaitLostWith(t, l, reader, syscall.ECONNRESET)
		if got := reader.Count("eof"); got != 0 {
			t.Errorf("EOFReceived %d times", got)
		}
	})
}

func TestS293_SetProtocolAndCloseOfAReadingPipe(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		reader, writer := rig.PipeEnds(t, l)
		second := transporttest.Successor(t, reader.Transport())
		looptest.Do(l, func() {
			if err := reader.Transport().SetProtocol(second); err != nil {
				t.Error(err)
			}
			writer.Transport().Write([]byte("for the second"))
		})
		looptest.WaitFor(t, l, "data", func() bool { return second.Received() == 14 })
		looptest.Do(l, func() {
			reader.Transport().Close()
			if reader.Transport().IsReading() || !reader.Transport().IsClosing() {
				t.Error("reads after Close")
			}
			writer.Transport().Write([]byte("for nobody"))
		})
		looptest.WaitFor(t, l, "ConnectionLost", func() bool {
			lost, _ := second.Lost()
			return lost
		})
		if got := second.Trace(); got != "data 14, lost <nil>" {
			t.Error(got)
		}
		if got := reader.Trace(); got != "made" {
			t.Errorf("the first protocol was told %s", got)
		}
		rig.WaitLost(t, l, writer)
	})
}

func TestS294_AReadingPipeCannotWriteAndAWritingPipeNeverReads(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		reader, writer := rig.PipeEnds(t, l)
		looptest.Do(l, func() {
			rt, wt := reader.Transport(), writer.Transport()
			_, err := rt.Write([]byte("x"))
			lines := rt.WriteLines([][]byte{[]byte("x")})
			owned := rt.(transport.OwnedWriter).WriteOwned([]byte("x"), nil)
			for _, err := range []error{err, lines, owned, rt.WriteEOF()} {
				if !errors.Is(err, transport.ErrReadOnly) {
					t.Errorf("a write to a reading pipe: %v", err)
				}
			}
			if rt.CanWriteEOF() {
				t.Error("a reading pipe can write EOF")
			}
			wt.ResumeReading()
			if wt.IsReading() {
				t.Error("a writing pipe reads")
			}
		})
	})
}

func TestS295_WritesToAPipeAreCopiedAndPaused(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		reader, writer := rig.PipeEnds(t, l)
		want := bytes.Repeat([]byte("0123456789abcdef"), 1<<17) // 2 MiB
		looptest.Do(l, func() {
			reader.Transport().PauseReading()
			b := bytes.Clone(want)
			if n, err := writer.Transport().Write(b); n != len(b) || err != nil {
				t.Errorf("Write: %d, %v", n, err)
			}
			clear(b)
			if !writer.Transport().WritePaused() || writer.Count("pause") != 1 {
				t.Errorf("%d buffered and not paused", writer.Transport().WriteBufferSize())
			}
			reader.Transport().ResumeReading()
		})
		looptest.WaitFor(t, l, "ResumeWriting", func() bool { return writer.Count("resume") == 1 })
		rig.WaitData(t, l, reader, want)
	})
}

func TestS298_AWriteThatMeetsEPIPEReturnsNoError(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		for _, size := range []int{1, 1 << 20} { // the second is offered to the kernel at once
			r, w := rig.Pipe(t)
			writer := transporttest.NewRecorder(t)
			rig.WritePipe(t, l, writer, w)
			looptest.Do(l, func() {
				r.Close()
				if n, err := writer.Transport().Write(make([]byte, size)); n != size || err != nil {
					t.Errorf("Write: %d of %d, %v", n, size, err)
				}
				if got := writer.Trace(); got != "made" {
					t.Errorf("inside Write: %s", got)
				}
			})
			rig.WaitLostWith(t, l, writer, syscall.EPIPE)
		}
	})
}

func TestS301_AWritingPipeNeverCallsEOFReceived(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		for _, pending := range []bool{false, true} {
			reader, writer := rig.PipeEnds(t, l)
			looptest.Do(l, func() {
				if pending {
					reader.Transport().PauseReading()
					writer.Transport().Write(make([]byte, 4<<20))
				}
				reader.Transport().Abort()
			})
			rig.WaitLost(t, l, writer)
			if writer.Count("eof") != 0 || writer.Received() != 0 {
				t.Errorf("pending %v: %s", pending, writer.Trace())
			}
		}
		f, peer := rig.SocketPair(t, syscall.SOCK_STREAM)
		writer := transporttest.NewRecorder(t)
		rig.WritePipe(t, l, writer, f)
		if _, err := peer.Write([]byte("nobody reads this")); err != nil {
			t.Error(err)
		}
		peer.Close()
		rig.WaitLost(t, l, writer)
		if writer.Count("eof") != 0 || writer.Received() != 0 {
			t.Errorf("a socket: %s", writer.Trace())
		}
	})
}

func TestS302_AWriteToALostPipeIsErrClosedAndNotLogged(t *testing.T) {
	log := &rig.Lines{}
	o := loop.Options{Logger: slog.New(slog.NewTextHandler(log, nil))}
	looptest.EnginesWith(t, o, func(t *testing.T, l *loop.Loop) {
		reader, writer := rig.PipeEnds(t, l)
		wt := writer.Transport()
		looptest.Do(l, func() { reader.Transport().Close() })
		rig.WaitLostWith(t, l, writer, nil)
		looptest.Do(l, func() {
			for range 10 {
				if n, err := wt.Write([]byte("x")); n != 0 || !errors.Is(err, transport.ErrClosed) {
					t.Errorf("Write: %d, %v", n, err)
				}
			}
		})
		if log.Contains("level=") {
			t.Errorf("logged %s", log.Text())
		}
	})
}

func TestS303_AFailedWriteEmptiesTheBuffer(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		reader, writer := rig.PipeEnds(t, l)
		looptest.Do(l, func() {
			reader.Transport().PauseReading()
			writer.Transport().Write(make([]byte, 4<<20))
		})
		looptest.Pass(t, l, 5*time.Millisecond)
		left := -1
		looptest.Do(l, func() {
			if writer.Transport().WriteBufferSize() == 0 {
				t.Error("nothing is buffered")
			}
			writer.On.Lost = func(error) { left = writer.Transport().WriteBufferSize() }
			reader.Transport().Close()
		})
		rig.WaitLostWith(t, l, writer, syscall.EPIPE)
		if left != 0 {
			t.Errorf("%d bytes buffered in ConnectionLost", left)
		}
	})
}
