package file_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// pairTLS is pair with TLS.
func pairTLS(t *testing.T, l *loop.Loop) (server, client *transporttest.Recorder) {
	t.Helper()
	server, client = transporttest.NewRecorder(t), transporttest.NewRecorder(t)
	rig.ConnectTLS(t, l, server, client)
	rig.AbortAtEnd(t, l, server, client)
	return server, client
}

func TestS342_OverTLSWritesAndFilesArriveInTheOrderOfTheCalls(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := pairTLS(t, l)
		writesAndFiles(t, l, server, client)
	})
}

// X8: in asyncio the call never ends. What follows the file is sent, too, and then
// close_notify.
func TestS352_OverTLSCloseSendsTheFileFirst(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := pairTLS(t, l)
		f, content := fileOf(t, 16<<20)
		var s *sending
		looptest.Do(l, func() {
			client.Transport().PauseReading()
			s = send(l, t.Context(), server.Transport(), f, 0, -1)
			server.Transport().Write([]byte("after"))
			server.Transport().Close()
			_, err := server.Transport().Write([]byte("late"))
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("a write after Close: %v", err)
			}
		})
		waitFull(t, l, server.Transport())
		if s.ended {
			t.Error("ended although nobody reads")
		}
		looptest.Do(l, func() { client.Transport().ResumeReading() })
		waitEnded(t, l, s)
		rig.WaitData(t, l, client, append(content, "after"...))
		rig.WaitLost(t, l, server)
		if _, err := server.Lost(); err != nil || s.err != nil || s.n != 16<<20 {
			t.Errorf("lost %v, sent %d, %v", err, s.n, s.err)
		}
		if !client.GotEOF() {
			t.Error("no close_notify")
		}
	})
}

// Of a file only the block in hand is memory; of the writes behind it all of it is.
func TestS349_OverTLSOnlyTheBlockInHandIsBuffered(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := pairTLS(t, l)
		f, content := fileOf(t, 8<<20)
		behind := bytes.Repeat([]byte("b"), 600<<10)
		looptest.Do(l, func() {
			client.Transport().PauseReading()
			send(l, t.Context(), server.Transport(), f, 0, -1)
			if n := server.Transport().WriteBufferSize(); n != 0 {
				t.Errorf("%d buffered after Sendfile", n)
			}
		})
		waitFull(t, l, server.Transport())
		looptest.Turns(l, 10)
		looptest.Do(l, func() {
			w := server.Transport()
			n := w.WriteBufferSize()
			// What the transport below has is as much as a write may find it with,
			// and a record.
			if most := 256<<10 + 64<<10 + 2*17<<10; n > most || w.WritePaused() {
				t.Errorf("%d buffered, paused %v", n, w.WritePaused())
			}
			w.Write(behind)
			if w.WriteBufferSize() != n+len(behind) || !w.WritePaused() {
				t.Errorf("%d buffered, then %d, paused %v", n, w.WriteBufferSize(),
					w.WritePaused())
			}
			client.Transport().ResumeReading()
		})
		rig.WaitData(t, l, client, append(content, behind...))
		looptest.WaitFor(t, l, "ResumeWriting", func() bool { return server.Count("resume") == 1 })
	})
}

// The blocks of a file are half of a high mark that is low.
func TestOverTLSLowMarksMeanSmallBlocks(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := pairTLS(t, l)
		f, content := fileOf(t, 8<<20)
		looptest.Do(l, func() {
			client.Transport().PauseReading()
			l := transport.Limits{High: 64 << 10, Low: 16 << 10}
			if err := server.Transport().SetWriteBufferLimits(l); err != nil {
				t.Error(err)
			}
		})
		var s *sending
		looptest.Do(l, func() { s = send(l, t.Context(), server.Transport(), f, 0, -1) })
		waitFull(t, l, server.Transport())
		looptest.Turns(l, 10)
		looptest.Do(l, func() {
			n := server.Transport().WriteBufferSize()
			if most := 32<<10 + 64<<10 + 2*17<<10; n > most {
				t.Errorf("%d buffered, more than %d", n, most)
			}
			client.Transport().ResumeReading()
		})
		waitEnded(t, l, s)
		rig.WaitData(t, l, client, content)
	})
}

// With marks of nothing a paused protocol is resumed all the same.
func TestOverTLSAFileRespectsTheMarks(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		for _, limits := range []transport.Limits{{}, {High: 1000, Low: 10},
			{High: 100 << 10, Low: 100 << 10}} {
			server, client := pairTLS(t, l)
			f, content := fileOf(t, 1<<20)
			var s *sending
			looptest.Do(l, func() {
				if err := server.Transport().SetWriteBufferLimits(limits); err != nil {
					t.Error(err)
				}
				s = send(l, t.Context(), server.Transport(), f, 0, -1)
				server.Transport().Write([]byte("behind"))
			})
			waitEnded(t, l, s)
			rig.WaitData(t, l, client, append(content, "behind"...))
			looptest.WaitFor(t, l, "ResumeWriting", func() bool {
				return server.Count("resume") == server.Count("pause")
			})
		}
	})
}

func TestOverTLSAFileEnds(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		for _, c := range []struct {
			name string
			do   func(server, client transport.Transport, f *os.File)
			want error
		}{
			{"abort", func(s, _ transport.Transport, _ *os.File) { s.Abort() }, net.ErrClosed},
			{"peer", func(_, c transport.Transport, _ *os.File) { c.Abort() }, nil},
			{"file", func(_, c transport.Transport, f *os.File) {
				f.Close()
				c.ResumeReading()
			}, os.ErrClosed},
			{"shorter", func(_, c transport.Transport, f *os.File) {
				os.Truncate(f.Name(), 7<<20)
				c.ResumeReading()
			}, nil},
		} {
			server, client := pairTLS(t, l)
			f, content := fileOf(t, 16<<20)
			var first, second *sending
			looptest.Do(l, func() {
				server.On.Lost = func(error) {
					if !first.ended || !second.ended {
						t.Errorf("%s: ConnectionLost before the file's end", c.name)
					}
				}
				client.Transport().PauseReading()
				first = send(l, t.Context(), server.Transport(), f, 0, -1)
				second = send(l, t.Context(), server.Transport(), f, 0, -1)
			})
			waitFull(t, l, server.Transport())
			looptest.Do(l, func() {
				c.do(server.Transport(), client.Transport(), f)
				if first.ended {
					t.Errorf("%s: ended inside a call", c.name)
				}
			})
			waitEnded(t, l, first)
			waitEnded(t, l, second)
			switch {
			case c.name == "shorter":
				if first.err != nil || first.n != 7<<20 {
					t.Errorf("shorter: %d, %v", first.n, first.err)
				}
				rig.WaitData(t, l, client, append(content[:7<<20:7<<20], content[:7<<20]...))
			case first.err == nil || !errors.Is(first.err, c.want) && c.want != nil ||
				first.n >= 16<<20:
				t.Errorf("%s: %d, %v, want %v", c.name, first.n, first.err, c.want)
			case second.err == nil || second.n != 0:
				t.Errorf("%s, the second: %d, %v", c.name, second.n, second.err)
			}
		}
	})
}

// The connection goes on with what was written after the file, to the byte.
func TestS353_OverTLSACancelledFileLeavesTheTransportUsable(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := pairTLS(t, l)
		f, content := fileOf(t, 16<<20)
		ctx, cancel := context.WithCancel(t.Context())
		var first, second *sending
		looptest.Do(l, func() {
			client.Transport().PauseReading()
			first = send(l, ctx, server.Transport(), f, 0, -1)
			second = send(l, ctx, server.Transport(), f, 5, -1)
			server.Transport().Write([]byte("after"))
		})
		waitFull(t, l, server.Transport())
		cancel()
		waitEnded(t, l, first)
		waitEnded(t, l, second)
		if !errors.Is(first.err, context.Canceled) || !errors.Is(second.err, context.Canceled) {
			t.Errorf("ended by %v and %v", first.err, second.err)
		}
		if first.n <= 0 || first.n >= 16<<20 || second.n != 0 {
			t.Errorf("%d and %d bytes were sent", first.n, second.n)
		}
		looptest.Do(l, func() { client.Transport().ResumeReading() })
		rig.WaitData(t, l, client, append(content[:first.n:first.n], "after"...))
		looptest.WaitFor(t, l, "an empty buffer", func() bool {
			return server.Transport().WriteBufferSize() == 0
		})
		looptest.Do(l, func() { server.Transport().Close() })
		rig.WaitLost(t, l, client)
	})
}

// A file may be sent from inside any callback, also from done, and a panic there is
// reported.
func TestOverTLSDoneMaySendTheNextFile(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		looptest.Expect(l, "Sendfile")
		server, client := pairTLS(t, l)
		f, content := fileOf(t, 70_000)
		left := 5
		var next func(int64, error)
		next = func(n int64, err error) {
			if n != 70_000 || err != nil {
				t.Errorf("%d, %v", n, err)
			}
			if left--; left == 0 {
				server.Transport().Close()
				panic("planned")
			}
			l.SendfileFunc(t.Context(), server.Transport(), f, 0, -1, next)
		}
		looptest.Do(l, func() {
			l.SendfileFunc(t.Context(), server.Transport(), f, 0, -1, next)
		})
		rig.WaitLost(t, l, client)
		rig.WaitData(t, l, client, bytes.Repeat(content, 5))
		looptest.WaitFor(t, l, "the report", func() bool {
			return len(looptest.Exceptions(l)) == 1
		})
	})
}

// What is below TLS, or is another loop's, takes no files.
func TestSendfileRefusesTheWrongTransport(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		f, _ := fileOf(t, 10)
		secure, _ := pairTLS(t, l)
		plain, _ := rig.Pair(t, l)
		below := secure.Transport().(interface{ Underlying() transport.Transport }).Underlying()
		if n, err := l.Sendfile(t.Context(), below, f, 0, -1); n != 0 || err != loop.ErrTLSBelow {
			t.Errorf("below TLS: %d, %v", n, err)
		}
		other, err := loop.New(&loop.Options{Engine: loop.Epoll})
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		for _, tr := range []transport.Transport{below, secure.Transport(), plain.Transport()} {
			n, err := other.Sendfile(t.Context(), tr, f, 0, -1)
			if n != 0 || err != loop.ErrOtherLoop {
				t.Errorf("another loop's: %d, %v", n, err)
			}
		}
		looptest.Do(l, secure.Transport().Abort)
		if _, err := l.Sendfile(t.Context(), secure.Transport(), f, 0, -1); !errors.Is(err,
			net.ErrClosed) {
			t.Errorf("after Abort: %v", err)
		}
	})
}
