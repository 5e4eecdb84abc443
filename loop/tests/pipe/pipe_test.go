package pipe_test

import (
	"bytes"
	"errors"
	"net"
	"os"
	"path/filepath"
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

func TestS286_WhatIsNotAPipeIsRefused(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		name := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{name, t.TempDir()} {
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.ConnectReadPipe(t.Context(), &transporttest.Recorder{}, f); !errors.Is(
				err, loop.ErrNotPipe) {
				t.Errorf("%s: %v", path, err)
			}
			if _, err := f.Stat(); !errors.Is(err, os.ErrClosed) {
				t.Errorf("the file is still open: %v", err)
			}
			_, err = l.ConnectWritePipe(t.Context(), &transporttest.Recorder{}, f)
			if !errors.Is(err, syscall.EBADF) {
				t.Errorf("a closed file: %v", err)
			}
		}
		if _, err := l.ConnectReadPipe(t.Context(), &transporttest.Recorder{}, nil); !errors.Is(
			err, os.ErrInvalid) {
			t.Error(err)
		}
	})
}

func TestS286_WrongEndAndNoProtocol(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		r, w, err := looptest.Pipe(l)
		if err != nil {
			t.Fatal(err)
		}
		_, err = l.ConnectReadPipe(t.Context(), &transporttest.Recorder{}, w)
		if !errors.Is(err, syscall.EBADF) {
			t.Errorf("reading from the writing end: %v", err)
		}
		_, err = l.ConnectWritePipe(t.Context(), &transporttest.Recorder{}, r)
		if !errors.Is(err, syscall.EBADF) {
			t.Errorf("writing to the reading end: %v", err)
		}
		if r, w, err = looptest.Pipe(l); err != nil {
			t.Fatal(err)
		}
		if _, err := l.ConnectReadPipe(t.Context(), nil, r); !errors.Is(err,
			transport.ErrNilProtocol) {
			t.Error(err)
		}
		if _, err := l.ConnectWritePipe(t.Context(), nil, w); !errors.Is(err,
			transport.ErrNilProtocol) {
			t.Error(err)
		}
	})
}

func TestS062_S291_PanicInDataReceivedOfAPipeIsFatal(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		looptest.Expect(l, "protocol.data_received() call failed")
		reader, writer := rig.PipeEnds(t, l)
		reader.On.Data = func([]byte) { panic("planned") }
		looptest.Do(l, func() { writer.Transport().Write([]byte("x")) })
		var planned *protocol.PanicError
		rig.WaitLost(t, l, reader)
		if _, err := reader.Lost(); !errors.As(err, &planned) {
			t.Errorf("ConnectionLost(%v)", err)
		}
		rig.WaitLostWith(t, l, writer, nil)
	})
}

func TestS293_ReadingEndPausesAndCannotWrite(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		reader, writer := rig.PipeEnds(t, l)
		rt := reader.Transport()
		looptest.Do(l, func() {
			rt.PauseReading()
			rt.PauseReading()
			writer.Transport().Write([]byte("later"))
			if _, err := rt.Write([]byte("x")); !errors.Is(err, transport.ErrReadOnly) {
				t.Error(err)
			}
			if err := rt.WriteEOF(); !errors.Is(err, transport.ErrReadOnly) || rt.CanWriteEOF() {
				t.Error(err)
			}
			if rt.IsReading() || writer.Transport().IsReading() {
				t.Error("reads")
			}
		})
		looptest.Pass(t, l, 5*time.Millisecond)
		if reader.Received() > 0 {
			t.Error("data while paused")
		}
		looptest.Do(l, rt.ResumeReading)
		rig.WaitTrace(t, l, reader, "made, data 5")
	})
}

func TestS296_WriteEofOfAPipeCloses(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		reader, writer := rig.PipeEnds(t, l)
		big := bytes.Repeat([]byte("pipe"), 1<<18)
		looptest.Do(l, func() {
			wt := writer.Transport()
			if !wt.CanWriteEOF() {
				t.Error("CanWriteEOF is false")
			}
			wt.Write(big)
			if err := wt.WriteEOF(); err != nil || !wt.IsClosing() {
				t.Error(err, wt.IsClosing())
			}
			if _, err := wt.Write([]byte("x")); !errors.Is(err, transport.ErrEOFWritten) {
				t.Error(err)
			}
		})
		rig.WaitLostWith(t, l, reader, nil)
		if !bytes.Equal(reader.Data(), big) {
			t.Errorf("%d bytes of %d", reader.Received(), len(big))
		}
		rig.WaitLostWith(t, l, writer, nil)
	})
}

func TestS297_WriterSeesThatTheReaderIsGone(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		reader, writer := rig.PipeEnds(t, l)
		looptest.Do(l, func() { reader.Transport().Close() })
		rig.WaitLostWith(t, l, writer, nil)
		if got := writer.Trace(); got != "made, lost <nil>" {
			t.Error(got)
		}
	})
}

func TestS297_ReaderGoneWithOutputPendingIsEPIPE(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		reader, writer := rig.PipeEnds(t, l)
		looptest.Do(l, func() {
			reader.Transport().PauseReading()
			writer.Transport().Write(make([]byte, 4<<20))
		})
		looptest.Pass(t, l, 5*time.Millisecond)
		looptest.Do(l, func() { reader.Transport().Close() })
		rig.WaitLostWith(t, l, writer, syscall.EPIPE)
	})
}

func TestAWriteThatRacesWithTheReadersEndEndsThePipe(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		reader, writer := rig.PipeEnds(t, l)
		looptest.Do(l, func() {
			reader.Transport().Abort()
			l.CallSoon(func() {
				l.CallSoon(func() {
					_, err := writer.Transport().Write([]byte("x"))
					if err != nil && !errors.Is(err, transport.ErrClosed) {
						t.Error(err)
					}
				})
			})
		})
		rig.WaitLost(t, l, writer)
		if _, err := writer.Lost(); err != nil && !errors.Is(err, syscall.EPIPE) {
			t.Error(err)
		}
		looptest.Do(l, func() {
			if n := writer.Transport().WriteBufferSize(); n != 0 {
				t.Errorf("%d bytes buffered", n)
			}
			if _, err := writer.Transport().Write([]byte("x")); !errors.Is(err,
				transport.ErrClosed) {
				t.Error(err)
			}
		})
	})
}

func TestS299_CloseOfAPipeFlushesAndAbortDrops(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		for _, abort := range []bool{false, true} {
			reader, writer := rig.PipeEnds(t, l)
			const size = 4 << 20
			looptest.Do(l, func() {
				reader.Transport().PauseReading()
				b := make([]byte, size)
				writer.Transport().Write(b)
				clear(b)
				if abort {
					writer.Transport().Abort()
				} else {
					writer.Transport().Close()
				}
				reader.Transport().ResumeReading()
			})
			rig.WaitLostWith(t, l, writer, nil)
			rig.WaitLostWith(t, l, reader, nil)
			if got := reader.Received(); got != size != abort {
				t.Errorf("abort %v: %d bytes", abort, got)
			}
		}
	})
}

func TestS141_BufferedProtocolOnAPipe(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		reader, writer := transporttest.NewRecorder(t), transporttest.NewRecorder(t)
		var memory []byte
		looptest.Do(l, func() { memory = l.AllocBuffer(32 << 10) })
		reader.On.Get = func(int) []byte { return memory }
		rig.ConnectPipe(t, l, reader.Buffered(1), writer)
		want := bytes.Repeat([]byte("registered "), 50_000)
		looptest.Do(l, func() {
			writer.Transport().Write(want)
			writer.Transport().WriteEOF()
		})
		rig.WaitLostWith(t, l, reader, nil)
		rig.WaitLostWith(t, l, writer, nil)
		if !bytes.Equal(reader.Data(), want) {
			t.Errorf("%d bytes of %d", reader.Received(), len(want))
		}
		looptest.Do(l, func() { l.FreeBuffer(memory) })
	})
}

func TestPipeFuncTwinsAndDescriptor(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		r, w := rig.Pipe(t)
		reader, writer := transporttest.NewRecorder(t), transporttest.NewRecorder(t)
		rig.AbortAtEnd(t, l, reader, writer)
		looptest.Do(l, func() {
			called, ctx := 0, t.Context()
			l.ConnectReadPipeFunc(ctx, reader, r, func(tr transport.ReadTransport, err error) {
				called++
				if raw, ok := tr.ExtraInfo("pipe").(syscall.RawConn); !ok || err != nil {
					t.Errorf("%v, %v", raw, err)
				}
			})
			l.ConnectWritePipeFunc(ctx, writer, w, func(_ transport.WriteTransport, err error) {
				called++
				if err != nil {
					t.Error(err)
				}
			})
			if called != 2 {
				t.Error("done was not called at once")
			}
		})
		if _, err := r.Stat(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("the file is still open: %v", err)
		}
	})
}

// An inherited pipe stays in blocking mode for those who share it.
func TestS287_TheModeOfAPipeThatOthersShareIsLeftAlone(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		var fds [2]int
		if err := syscall.Pipe2(fds[:], syscall.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		ours, err := syscall.Dup(fds[0])
		if err != nil {
			t.Fatal(err)
		}
		syscall.CloseOnExec(ours)
		reader, writer := transporttest.NewRecorder(t), transporttest.NewRecorder(t)
		rig.ReadPipe(t, l, reader, os.NewFile(uintptr(fds[0]), "r"))
		rig.WritePipe(t, l, writer, os.NewFile(uintptr(fds[1]), "w"))
		if rig.IsNonblocking(t, ours) {
			t.Error("the open file that others share is non-blocking")
		}
		looptest.Do(l, func() {
			writer.Transport().Write([]byte("x"))
			writer.Transport().Close()
		})
		rig.WaitTrace(t, l, reader, "made, data 1, eof, lost <nil>")
		rig.WaitLost(t, l, reader)
		rig.WaitLost(t, l, writer)
		syscall.Close(ours)
	})
}

// A FIFO with a name is non-blocking until the transport ends.
func TestS287_TheModeOfAFIFOIsRestored(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		f, shared := sharedFIFO(t)
		reader := transporttest.NewRecorder(t)
		rig.ReadPipe(t, l, reader, f)
		if !rig.IsNonblocking(t, shared) {
			t.Error("blocking while the loop reads")
		}
		if _, err := syscall.Write(shared, []byte("fifo")); err != nil {
			t.Fatal(err)
		}
		rig.WaitTrace(t, l, reader, "made, data 4")
		looptest.Do(l, func() { reader.Transport().Close() })
		rig.WaitLostWith(t, l, reader, nil)
		if rig.IsNonblocking(t, shared) {
			t.Error("non-blocking after the end")
		}
	})
}

func TestS287_TheModeOfAFIFOIsRestoredByALoopThatIsClosed(t *testing.T) {
	for _, engine := range []loop.Engine{loop.Uring, loop.Epoll} {
		l, err := loop.New(&loop.Options{Engine: engine})
		if err != nil {
			t.Skip("needs ", engine, ": ", err)
		}
		f, shared := sharedFIFO(t)
		_, err = l.ConnectReadPipe(t.Context(), &transporttest.Recorder{}, f)
		if err != nil || !rig.IsNonblocking(t, shared) {
			t.Error("blocking while the loop reads", err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if rig.IsNonblocking(t, shared) {
			t.Error("non-blocking after Close")
		}
	}
}

// The mode is needed until the last of two transports of one open file ends: a call
// for the other would make the loop wait.
func TestS287_TheModeOfAFIFOIsRestoredByTheLast(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		f, shared := sharedFIFO(t)
		again, err := syscall.Dup(shared)
		if err != nil {
			t.Fatal(err)
		}
		syscall.CloseOnExec(again)
		reader, writer := transporttest.NewRecorder(t), transporttest.NewRecorder(t)
		rig.ReadPipe(t, l, reader, f)
		rig.WritePipe(t, l, writer, os.NewFile(uintptr(again), "again"))
		looptest.Do(l, func() { reader.Transport().Close() })
		rig.WaitLostWith(t, l, reader, nil)
		if !rig.IsNonblocking(t, shared) {
			t.Error("blocking while the loop writes")
		} else {
			looptest.Do(l, func() { writer.Transport().Write(make([]byte, 1<<20)) })
		}
		looptest.Do(l, func() { writer.Transport().Abort() })
		rig.WaitLostWith(t, l, writer, nil)
		if rig.IsNonblocking(t, shared) {
			t.Error("non-blocking after the end of both")
		}
	})
}

// sharedFIFO is a FIFO that is open in blocking mode, and a duplicate of its
// descriptor.
func sharedFIFO(t *testing.T) (f *os.File, shared int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip("needs FIFOs: ", err)
	}
	fd, err := syscall.Open(path, syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	shared, err = syscall.Dup(fd)
	if err != nil {
		t.Fatal(err)
	}
	syscall.CloseOnExec(shared)
	t.Cleanup(func() { syscall.Close(shared) })
	return os.NewFile(uintptr(fd), path), shared
}

func TestS297_APeerThatHasEndedItsOutputIsStillAReader(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		f, peer := rig.SocketPair(t, syscall.SOCK_STREAM)
		writer := transporttest.NewRecorder(t)
		rig.AbortAtEnd(t, l, writer)
		rig.WritePipe(t, l, writer, f)
		if err := peer.(*net.UnixConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		looptest.Pass(t, l, 10*time.Millisecond)
		looptest.Do(l, func() { writer.Transport().Write([]byte("go on")) })
		buf := make([]byte, 10)
		if n, err := peer.Read(buf); string(buf[:n]) != "go on" {
			t.Errorf("read %q, %v", buf[:n], err)
		}
		if got := writer.Trace(); got != "made" {
			t.Errorf("callbacks %s", got)
		}
	})
}
