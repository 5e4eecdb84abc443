package file_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// fileOf returns an open file with n random bytes, and them.
func fileOf(t testing.TB, n int) (*os.File, []byte) {
	t.Helper()
	content := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n)}).Read(content)
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, content
}

// sending is a call of SendfileFunc.
type sending struct {
	n     int64
	err   error
	ended bool
	twice bool
}

func (s *sending) done(n int64, err error) {
	s.twice = s.twice || s.ended
	s.n, s.err, s.ended = n, err, true
}

// send begins to send on the loop's goroutine.
func send(l *loop.Loop, ctx context.Context, t transport.WriteTransport, f *os.File,
	offset, count int64) *sending {
	s := &sending{}
	l.SendfileFunc(ctx, t, f, offset, count, s.done)
	return s
}

func waitEnded(t *testing.T, l *loop.Loop, s *sending) {
	t.Helper()
	looptest.WaitFor(t, l, "the end of the file", func() bool { return s.ended })
	if s.twice {
		t.Error("done was called twice")
	}
}

func TestS068_S342_WritesAndFilesArriveInTheOrderOfTheCalls(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		writesAndFiles(t, l, server, client)
	})
}

// writesAndFiles sends by every call that there is, in one go.
func writesAndFiles(t *testing.T, l *loop.Loop, server, client *transporttest.Recorder) {
	t.Helper()
	f, content := fileOf(t, 3<<20)
	var want []byte
	var sends []*sending
	looptest.Do(l, func() {
		w := server.Transport()
		put := func(s string) {
			if _, err := w.Write([]byte(s)); err != nil {
				t.Error(err)
			}
			want = append(want, s...)
		}
		file := func(offset, count int64, sent []byte) {
			sends = append(sends, send(l, t.Context(), w, f, offset, count))
			want = append(want, sent...)
		}
		put("before")
		file(0, -1, content)
		put("between")
		file(100, 1000, content[100:1100])
		file(0, 0, nil)
		file(3<<20-5, 100, content[3<<20-5:])
		put("after")
		if err := w.WriteLines([][]byte{[]byte("lin"), []byte("es")}); err != nil {
			t.Error(err)
		}
		if err := w.(transport.OwnedWriter).WriteOwned([]byte("owned"), nil); err != nil {
			t.Error(err)
		}
		want = append(want, "linesowned"...)
	})
	for i, n := range []int64{int64(len(content)), 1000, 0, 5} {
		waitEnded(t, l, sends[i])
		if sends[i].n != n || sends[i].err != nil {
			t.Errorf("file %d: %d bytes, %v, want %d", i, sends[i].n, sends[i].err, n)
		}
	}
	rig.WaitData(t, l, client, want)
	if pos, _ := f.Seek(0, io.SeekCurrent); pos != 0 {
		t.Errorf("the file's position is %d", pos)
	}
}

func TestS351_ARangeEndsWhereTheFileEnds(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		f, content := fileOf(t, 10_000)
		empty, _ := fileOf(t, 0)
		var want []byte
		for _, c := range []struct {
			f             *os.File
			offset, count int64
			n             int64
		}{
			{f, 0, -1, 10_000}, {f, 9_000, 5_000, 1_000}, {f, 10_000, 1, 0},
			{f, 1 << 40, -1, 0}, {f, 5, 0, 0}, {f, 5, 7, 7}, {empty, 0, -1, 0}, {empty, 3, 9, 0},
		} {
			n, err := l.Sendfile(t.Context(), server.Transport(), c.f, c.offset, c.count)
			if n != c.n || err != nil {
				t.Errorf("Sendfile(%d, %d): %d, %v, want %d", c.offset, c.count, n, err, c.n)
			}
			if n > 0 {
				want = append(want, content[c.offset:c.offset+n]...)
			}
		}
		rig.WaitData(t, l, client, want)
	})
}

func TestS347_WhatCannotBeSentIsRefused(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, _ := rig.Pair(t, l)
		f, _ := fileOf(t, 10)
		closed, _ := fileOf(t, 10)
		closed.Close()
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		defer w.Close()
		zero, err := os.Open("/dev/zero")
		if err != nil {
			t.Fatal(err)
		}
		defer zero.Close()
		dir, err := os.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer dir.Close()
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		for _, c := range []struct {
			ctx           context.Context
			f             *os.File
			offset, count int64
			want          error
		}{
			{t.Context(), f, -1, 1, loop.ErrBadRange},
			{t.Context(), f, 0, -2, loop.ErrBadRange},
			{t.Context(), r, 0, 1, loop.ErrNotRegular},
			{t.Context(), zero, 0, 1, loop.ErrNotRegular},
			{t.Context(), dir, 0, -1, loop.ErrNotRegular},
			{t.Context(), closed, 0, 1, os.ErrClosed},
			{t.Context(), nil, 0, 1, os.ErrInvalid},
			{cancelled, f, 0, 1, context.Canceled},
		} {
			n, err := l.Sendfile(c.ctx, server.Transport(), c.f, c.offset, c.count)
			if n != 0 || !errors.Is(err, c.want) {
				t.Errorf("%d, %v, want %v", n, err, c.want)
			}
		}
		looptest.Do(l, func() {
			_, err := l.Sendfile(t.Context(), server.Transport(), f, 0, 1)
			if err != loop.ErrOnLoop {
				t.Errorf("on the loop: %v", err)
			}
		})
	})
}

func TestS345_AClosingTransportSendsNoFile(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		f, _ := fileOf(t, 10)
		looptest.Do(l, func() { server.Transport().WriteEOF() })
		_, err := l.Sendfile(t.Context(), server.Transport(), f, 0, -1)
		if !errors.Is(err, transport.ErrEOFWritten) {
			t.Errorf("after WriteEOF: %v", err)
		}
		looptest.Do(l, client.Transport().Abort)
		if _, err := l.Sendfile(t.Context(), client.Transport(), f, 0, -1); !errors.Is(err,
			net.ErrClosed) {
			t.Errorf("after Abort: %v", err)
		}
	})
}

// X8: in asyncio the call never ends.
func TestS352_CloseSendsTheFileFirst(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		f, content := fileOf(t, 16<<20)
		var s *sending
		looptest.Do(l, func() {
			client.Transport().PauseReading()
			s = send(l, t.Context(), server.Transport(), f, 0, -1)
			server.Transport().Close()
		})
		looptest.Turns(l, 3)
		if s.ended {
			t.Error("ended although nobody reads")
		}
		looptest.Do(l, func() { client.Transport().ResumeReading() })
		waitEnded(t, l, s)
		rig.WaitData(t, l, client, content)
		rig.WaitLost(t, l, server)
		if _, err := server.Lost(); err != nil || s.err != nil || s.n != int64(len(content)) {
			t.Errorf("lost %v, sent %d, %v", err, s.n, s.err)
		}
	})
}

func TestWriteEOFFollowsTheFile(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		f, content := fileOf(t, 2<<20)
		looptest.Do(l, func() {
			send(l, t.Context(), server.Transport(), f, 0, -1)
			server.Transport().WriteEOF()
		})
		looptest.WaitFor(t, l, "EOF", func() bool { return client.Count("eof") > 0 })
		rig.WaitData(t, l, client, content)
	})
}

func TestS352_AbortEndsTheFileBeforeConnectionLost(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		f, _ := fileOf(t, 16<<20)
		var first, second *sending
		looptest.Do(l, func() {
			client.Transport().PauseReading()
			server.On.Lost = func(error) {
				if !first.ended || !second.ended {
					t.Error("ConnectionLost before the file's end")
				}
			}
			first = send(l, t.Context(), server.Transport(), f, 0, -1)
			second = send(l, t.Context(), server.Transport(), f, 0, -1)
		})
		looptest.Turns(l, 5)
		looptest.Do(l, func() {
			server.Transport().Abort()
			if first.ended {
				t.Error("ended inside Abort")
			}
		})
		rig.WaitLost(t, l, server)
		if !errors.Is(first.err, net.ErrClosed) || first.n >= 16<<20 {
			t.Errorf("the first: %d, %v", first.n, first.err)
		}
		if !errors.Is(second.err, net.ErrClosed) || second.n != 0 {
			t.Errorf("the second: %d, %v", second.n, second.err)
		}
	})
}

func TestS350_ThePeersEndEndsTheFile(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		f, _ := fileOf(t, 16<<20)
		var s *sending
		looptest.Do(l, func() {
			server.Transport().PauseReading() // it learns of it by sending
			client.Transport().PauseReading()
			s = send(l, t.Context(), server.Transport(), f, 0, -1)
		})
		looptest.Turns(l, 5)
		looptest.Do(l, client.Transport().Abort)
		waitEnded(t, l, s)
		var op *net.OpError
		if !errors.As(s.err, &op) || s.n >= 16<<20 {
			t.Errorf("%d bytes, %v", s.n, s.err)
		}
		rig.WaitLost(t, l, server)
		if _, lost := server.Lost(); lost != s.err {
			t.Errorf("lost by %v, the file ended by %v", lost, s.err)
		}
	})
}

// The connection goes on with what was written after the file.
func TestS353_ACancelledFileLeavesTheTransportUsable(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		f, content := fileOf(t, 16<<20)
		ctx, cancel := context.WithCancel(t.Context())
		var first, second *sending
		looptest.Do(l, func() {
			client.On.Data = func([]byte) { client.Transport().PauseReading() }
			first = send(l, ctx, server.Transport(), f, 0, -1)
			second = send(l, ctx, server.Transport(), f, 5, -1)
			server.Transport().Write([]byte("after"))
		})
		// Where the kernel cannot say that a file is in memory, as of tmpfs before
		// Linux 6.5, it is read first.
		looptest.WaitFor(t, l, "some of it", func() bool { return client.Received() > 0 })
		cancel()
		waitEnded(t, l, first)
		waitEnded(t, l, second)
		if !errors.Is(first.err, context.Canceled) || !errors.Is(second.err, context.Canceled) {
			t.Errorf("ended by %v and %v", first.err, second.err)
		}
		if first.n <= 0 || first.n >= 16<<20 {
			t.Errorf("%d and %d bytes were sent", first.n, second.n)
		}
		looptest.Do(l, func() {
			client.On.Data = nil
			client.Transport().ResumeReading()
		})
		// The second may have had its turn before it was cancelled as well.
		want := append(bytes.Clone(content[:first.n]), content[5:5+second.n]...)
		rig.WaitData(t, l, client, append(want, "after"...))
	})
}

func TestACancelledFileDoesNotKeepACloseWaiting(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		f, _ := fileOf(t, 16<<20)
		ctx, cancel := context.WithCancel(t.Context())
		looptest.Do(l, func() {
			client.Transport().PauseReading()
			send(l, ctx, server.Transport(), f, 0, -1)
			server.Transport().Close()
		})
		looptest.Turns(l, 5)
		cancel()
		rig.WaitLost(t, l, server)
	})
}

func TestS344_ReadingGoesOnWhileAFileIsSent(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		f, content := fileOf(t, 16<<20)
		var s *sending
		looptest.Do(l, func() {
			client.Transport().PauseReading()
			s = send(l, t.Context(), server.Transport(), f, 0, -1)
			client.Transport().Write([]byte("question"))
		})
		rig.WaitData(t, l, server, []byte("question"))
		if s.ended {
			t.Error("the file ended before anybody read it")
		}
		looptest.Do(l, func() { client.Transport().ResumeReading() })
		waitEnded(t, l, s)
		rig.WaitData(t, l, client, content)
	})
}

// The bytes of a file take no memory; those of the writes behind it do.
func TestAFileDoesNotCountAsBuffered(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		f, content := fileOf(t, 16<<20)
		behind := bytes.Repeat([]byte("b"), 100<<10)
		looptest.Do(l, func() {
			client.Transport().PauseReading()
			w := server.Transport()
			send(l, t.Context(), w, f, 0, -1)
			if w.WriteBufferSize() != 0 || w.WritePaused() {
				t.Errorf("%d buffered after Sendfile", w.WriteBufferSize())
			}
			w.Write(behind)
			if w.WriteBufferSize() != len(behind) || !w.WritePaused() {
				t.Errorf("%d buffered behind the file, paused %v", w.WriteBufferSize(),
					w.WritePaused())
			}
			client.Transport().ResumeReading()
		})
		rig.WaitData(t, l, client, append(content, behind...))
		looptest.WaitFor(t, l, "ResumeWriting", func() bool { return server.Count("resume") == 1 })
	})
}

func TestAFileThatBecomesShorterEndsThere(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		f, content := fileOf(t, 16<<20)
		var s *sending
		looptest.Do(l, func() {
			client.Transport().PauseReading()
			s = send(l, t.Context(), server.Transport(), f, 0, -1)
		})
		looptest.Turns(l, 5)
		looptest.Do(l, func() {
			if err := os.Truncate(f.Name(), 15<<20); err != nil {
				t.Error(err)
			}
			client.Transport().ResumeReading()
		})
		waitEnded(t, l, s)
		if s.n != 15<<20 || s.err != nil {
			t.Errorf("%d bytes, %v", s.n, s.err)
		}
		rig.WaitData(t, l, client, content[:15<<20])
	})
}

func TestAFileThatIsClosedMeanwhileIsAnError(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		f, content := fileOf(t, 16<<20)
		var s *sending
		looptest.Do(l, func() {
			client.Transport().PauseReading()
			s = send(l, t.Context(), server.Transport(), f, 0, -1)
		})
		looptest.Turns(l, 5)
		looptest.Do(l, func() {
			f.Close()
			client.Transport().ResumeReading()
		})
		waitEnded(t, l, s)
		if !errors.Is(s.err, os.ErrClosed) {
			t.Errorf("%d bytes, %v", s.n, s.err)
		}
		rig.WaitData(t, l, client, content[:s.n])
	})
}

func TestAPanicInDoneIsReported(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		looptest.Expect(l, "Sendfile")
		server, client := rig.Pair(t, l)
		f, content := fileOf(t, 1000)
		looptest.Do(l, func() {
			l.SendfileFunc(t.Context(), server.Transport(), f, 0, -1,
				func(int64, error) { panic("planned") })
			server.Transport().Write([]byte("after"))
		})
		rig.WaitData(t, l, client, append(content, "after"...))
		looptest.WaitFor(t, l, "the report", func() bool {
			return len(looptest.Exceptions(l)) == 1
		})
	})
}

// A file may be sent from inside any callback, also from done.
func TestDoneMaySendTheNextFile(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		f, content := fileOf(t, 70_000)
		left := 5
		var next func(int64, error)
		next = func(n int64, err error) {
			if n != 70_000 || err != nil {
				t.Errorf("%d, %v", n, err)
			}
			if left--; left == 0 {
				server.Transport().Close()
				return
			}
			l.SendfileFunc(t.Context(), server.Transport(), f, 0, -1, next)
		}
		looptest.Do(l, func() {
			l.SendfileFunc(t.Context(), server.Transport(), f, 0, -1, next)
		})
		rig.WaitLost(t, l, client)
		rig.WaitData(t, l, client, bytes.Repeat(content, 5))
	})
}

func TestS340_AFileOverAUnixSocket(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := transporttest.NewRecorder(t), transporttest.NewRecorder(t)
		rig.ConnectUnix(t, l, server, client)
		rig.AbortAtEnd(t, l, server, client)
		f, content := fileOf(t, 3<<20)
		n, err := l.Sendfile(t.Context(), server.Transport(), f, 0, -1)
		if n != 3<<20 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		rig.WaitData(t, l, client, content)
	})
}

// A datagram endpoint is no WriteTransport and does not get that far.
func TestS345_SendfileOverAPipeIsUnsupported(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		_, writer := rig.PipeEnds(t, l)
		f, _ := fileOf(t, 10)
		n, err := l.Sendfile(t.Context(), writer.Transport(), f, 0, -1)
		if n != 0 || !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%d, %v", n, err)
		}
		d := rig.OpenDatagram(t, l, &rig.DatagramRecorder{},
			loop.DatagramOptions{LocalAddr: "127.0.0.1:0"})
		if _, ok := d.T.(transport.WriteTransport); ok {
			t.Error("a datagram endpoint takes files")
		}
	})
}
