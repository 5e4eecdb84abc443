package file_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/transport"
)

func TestS340_SendfileSendsAPartAndCountsIt(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		f, content := fileOf(t, 3<<20)
		n, err := l.Sendfile(t.Context(), server.Transport(), f, 1000, 2<<20)
		if n != 2<<20 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		rig.WaitData(t, l, client, content[1000:1000+2<<20])
	})
}

func TestS341_AFileIsSentBetweenWhatWasWrittenBeforeAndAfter(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		f, content := fileOf(t, 1<<20)
		before := bytes.Repeat([]byte("before"), 200_000) // more than a socket takes
		ended := func(n int64, err error) {
			if n != int64(len(content)) || err != nil {
				t.Errorf("%d, %v", n, err)
			}
			server.Transport().Write([]byte("after"))
		}
		looptest.Do(l, func() {
			server.Transport().Write(before)
			l.SendfileFunc(t.Context(), server.Transport(), f, 0, -1, ended)
		})
		rig.WaitData(t, l, client, append(append(before, content...), "after"...))
	})
}

func TestS343_ASecondFileFollowsTheFirst(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		first, a := fileOf(t, 2<<20)
		second, b := fileOf(t, 1<<20+1)
		var order []string
		looptest.Do(l, func() {
			next := func(what string, f *os.File, want int) {
				l.SendfileFunc(t.Context(), server.Transport(), f, 0, -1, func(n int64, err error) {
					order = append(order, what)
					if n != int64(want) || err != nil {
						t.Errorf("the %s: %d, %v", what, n, err)
					}
				})
			}
			next("first", first, len(a))
			next("second", second, len(b))
		})
		rig.WaitData(t, l, client, append(bytes.Clone(a), b...))
		looptest.WaitFor(t, l, "both ends", func() bool { return len(order) == 2 })
		if order[0] != "first" {
			t.Errorf("ended in the order %v", order)
		}
	})
}

func TestS345_ATransportThatFlushesSendsNoFile(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		f, _ := fileOf(t, 10)
		big := make([]byte, 8<<20)
		looptest.Do(l, func() {
			client.Transport().PauseReading()
			server.Transport().Write(big)
			server.Transport().Close()
		})
		n, err := l.Sendfile(rig.WithTimeout(t), server.Transport(), f, 0, -1)
		if n != 0 || !errors.Is(err, transport.ErrClosed) {
			t.Errorf("after Close: %d, %v", n, err)
		}
		looptest.Do(l, func() { client.Transport().ResumeReading() })
		rig.WaitLost(t, l, server)
		rig.WaitData(t, l, client, big)
	})
}

func TestS346_TheCountLimitsAndThePositionStays(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		f, content := fileOf(t, 1000)
		const position = 7
		if _, err := f.Seek(position, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		var want []byte
		for _, c := range []struct{ offset, count, n int64 }{
			{100, 50, 50}, {990, 50, 10}, {0, -1, 1000},
		} {
			n, err := l.Sendfile(t.Context(), server.Transport(), f, c.offset, c.count)
			if n != c.n || err != nil {
				t.Errorf("Sendfile(%d, %d): %d, %v, want %d", c.offset, c.count, n, err, c.n)
			}
			want = append(want, content[c.offset:c.offset+c.n]...)
		}
		rig.WaitData(t, l, client, want)
		looptest.Do(l, server.Transport().Abort)
		if _, err := l.Sendfile(t.Context(), server.Transport(), f, 0, -1); err == nil {
			t.Error("a file was sent after Abort")
		}
		if at, err := f.Seek(0, io.SeekCurrent); at != position || err != nil {
			t.Errorf("the file's position is %d, %v", at, err)
		}
	})
}

func TestS354_TheErrorOfAFileIsThatOfTheConnection(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		f, _ := fileOf(t, 16<<20)
		var s *sending
		looptest.Do(l, func() {
			client.Transport().PauseReading()
			s = send(l, t.Context(), server.Transport(), f, 0, -1)
		})
		looptest.Turns(l, 5)
		looptest.Do(l, func() { looptest.Reset(l, client.Transport()) })
		waitEnded(t, l, s)
		rig.WaitLost(t, l, server)
		var op *net.OpError
		_, lost := server.Lost()
		if lost != s.err || !errors.As(s.err, &op) ||
			!errors.Is(s.err, syscall.ECONNRESET) && !errors.Is(s.err, syscall.EPIPE) {
			t.Errorf("the file ended by %v, ConnectionLost(%v)", s.err, lost)
		}
	})
}
