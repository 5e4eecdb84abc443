package stream_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/stream"
	"github.com/sluice-net/sluice/transport"
)

func TestS424_DialAndListenOnEachNetwork(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		for _, network := range []string{"tcp", "tcp4", "tcp6", "unix"} {
			t.Run(network, func(t *testing.T) {
				ln := listen(t, l, network)
				defer ln.Close()
				client, server := join(t, l, ln)
				write(t, client, letters(1000))
				want(t, server, letters(1000))
				write(t, server, []byte("back"))
				want(t, client, []byte("back"))
				if a, b := client.RemoteAddr(), server.LocalAddr(); a.String() != b.String() {
					t.Errorf("the client's peer is %v, the server %v", a, b)
				}
				if a, b := client.LocalAddr(), server.RemoteAddr(); a.String() != b.String() {
					t.Errorf("the client is %v, the server's peer %v", a, b)
				}
			})
		}
	})
	if stream.DefaultLimit != 64<<10 {
		t.Errorf("the limit is %d", stream.DefaultLimit)
	}
}

func TestS425_ReadReturnsWhatThereIs(t *testing.T) {
	pairs(t, func(t *testing.T, l *loop.Loop, client, server *stream.Conn) {
		if n, err := server.Read(nil); n != 0 || err != nil {
			t.Errorf("Read(nil): %d, %v", n, err)
		}
		p := make([]byte, 10)
		reading := background(func() (int, error) { return server.Read(p) })
		write(t, client, []byte("abc"))
		if r := soon(t, "a read", reading); r.n != 3 || r.err != nil || string(p[:3]) != "abc" {
			t.Errorf("Read: %d, %v, %q", r.n, r.err, p)
		}
		write(t, client, []byte("0123456789x"))
		until(t, l, "the rest", func() bool { return stream.Unread(server) == 11 })
		want(t, server, []byte("0123456789"))
		client.Close()
		want(t, server, []byte("x"))
		wantEOF(t, server)
		wantEOF(t, server)
	})
}

func TestS426_ReadFullTellsOfAnEarlyEnd(t *testing.T) {
	pairs(t, func(t *testing.T, l *loop.Loop, client, server *stream.Conn) {
		write(t, client, []byte("abc"))
		client.CloseWrite()
		p := make([]byte, 5)
		n, err := io.ReadFull(server, p)
		if n != 3 || err != io.ErrUnexpectedEOF || string(p[:n]) != "abc" {
			t.Errorf("ReadFull: %q, %v", p[:n], err)
		}
	})
}

func TestS427_BufioReadsUntilASeparator(t *testing.T) {
	pairs(t, func(t *testing.T, l *loop.Loop, client, server *stream.Conn) {
		write(t, client, []byte("one\ntwo\n0123456789abcdefg\nrest"))
		client.CloseWrite()
		r := bufio.NewReaderSize(server, 16)
		for _, line := range []string{"one\n", "two\n"} {
			if got, err := r.ReadString('\n'); got != line || err != nil {
				t.Errorf("ReadString: %q, %v", got, err)
			}
		}
		got, err := r.ReadSlice('\n')
		if err != bufio.ErrBufferFull || string(got) != "0123456789abcdef" {
			t.Errorf("a line that is too long: %q, %v", got, err)
		}
		if got, err := io.ReadAll(r); string(got) != "g\nrest" || err != nil {
			t.Errorf("after it: %q, %v", got, err)
		}
	})
}

func TestS439_AScannerReadsLines(t *testing.T) {
	pairs(t, func(t *testing.T, l *loop.Loop, client, server *stream.Conn) {
		writing := background(func() (int, error) {
			n, err := client.Write([]byte("one\n\nthree\nrest"))
			client.CloseWrite()
			return n, err
		})
		lines := bufio.NewScanner(server)
		for _, line := range []string{"one", "", "three", "rest"} {
			if !lines.Scan() || lines.Text() != line {
				t.Errorf("Scan: %q, %v, want %q", lines.Text(), lines.Err(), line)
			}
		}
		if lines.Scan() || lines.Err() != nil {
			t.Errorf("at the end: %q, %v", lines.Text(), lines.Err())
		}
		if r := soon(t, "the write", writing); r.err != nil {
			t.Error(r.err)
		}
	})
}

func TestS439_AScannerReadsLinesThatAreThereAlready(t *testing.T) {
	pairs(t, func(t *testing.T, l *loop.Loop, client, server *stream.Conn) {
		var want []string
		for i := range 2000 {
			want = append(want, strings.Repeat(string('a'+rune(i%26)), i%17))
		}
		text := strings.Join(want, "\n") + "\n"
		write(t, client, []byte(text))
		client.CloseWrite()
		until(t, l, "all lines", func() bool { return stream.Unread(server) == len(text) })
		lines := bufio.NewScanner(server)
		lines.Buffer(make([]byte, 100), 100)
		for i, line := range want {
			if !lines.Scan() || lines.Text() != line {
				t.Fatalf("line %d: %q, %v, want %q", i, lines.Text(), lines.Err(), line)
			}
		}
		if lines.Scan() || lines.Err() != nil {
			t.Errorf("at the end: %q, %v", lines.Text(), lines.Err())
		}
	})
}

func TestS428_ReadingPausesBeyondTwiceTheLimit(t *testing.T) {
	pairs(t, func(t *testing.T, l *loop.Loop, client, server *stream.Conn) {
		if err := server.SetReadLimit(0); !errors.Is(err, stream.ErrLimit) {
			t.Errorf("a limit of 0: %v", err)
		}
		server.SetReadLimit(100)
		send := func(n int) {
			t.Helper()
			before := stream.Unread(server)
			write(t, client, make([]byte, n))
			until(t, l, "bytes", func() bool { return stream.Unread(server) == before+n })
		}
		send(200)
		if !stream.Reading(server) {
			t.Error("paused at twice the limit")
		}
		send(1)
		if stream.Reading(server) {
			t.Error("goes on beyond twice the limit")
		}
		want(t, server, make([]byte, 100))
		if stream.Reading(server) {
			t.Error("goes on with more than the limit unread")
		}
		want(t, server, make([]byte, 1))
		if !stream.Reading(server) {
			t.Error("does not go on at the limit")
		}
	})
}

func TestS429_ReadersTakeTurns(t *testing.T) {
	pairs(t, func(t *testing.T, l *loop.Loop, client, server *stream.Conn) {
		const readers, each = 8, 1000
		var all sync.WaitGroup
		for range readers {
			all.Go(func() {
				p := make([]byte, 1)
				for range each {
					if n, err := server.Read(p); n != 1 || err != nil {
						t.Errorf("Read: %d, %v", n, err)
						return
					}
				}
			})
		}
		write(t, client, make([]byte, readers*each))
		all.Wait()
		if n := stream.Unread(server); n != 0 {
			t.Errorf("%d bytes are left", n)
		}
	})
}

func TestS430_MoreThanTheLimitCanBeWaitedFor(t *testing.T) {
	pairs(t, func(t *testing.T, l *loop.Loop, client, server *stream.Conn) {
		server.SetReadLimit(10)
		data := letters(300_000)
		writing := background(func() (int, error) { return client.Write(data) })
		until(t, l, "a pause", func() bool { return !stream.Reading(server) })
		want(t, server, data)
		if r := soon(t, "the write", writing); r.err != nil {
			t.Error(r.err)
		}
	})
}

// reset has the client see ECONNRESET: the server closes with bytes in its kernel.
func reset(t *testing.T, l *loop.Loop, client, server *stream.Conn) {
	t.Helper()
	server.SetReadLimit(1)
	write(t, client, []byte("abc"))
	until(t, l, "a pause", func() bool { return !stream.Reading(server) })
	for range 3 { // of which the loop receives the first, and stops
		write(t, client, make([]byte, 1000))
		looptest.Turns(l, 10)
	}
	server.Abort()
}

func TestS431_AnErrorReachesPendingAndFutureReads(t *testing.T) {
	pairs(t, func(t *testing.T, l *loop.Loop, client, server *stream.Conn) {
		reading := background(func() (int, error) { return client.Read(make([]byte, 1)) })
		until(t, l, "a reader", func() bool { r, _ := stream.Waits(client); return r })
		reset(t, l, client, server)
		wantErr(t, "a pending read", soon(t, "the read", reading).err, syscall.ECONNRESET)
		_, err := client.Read(make([]byte, 1))
		wantErr(t, "a later read", err, syscall.ECONNRESET)
		_, err = client.Write(make([]byte, 1))
		wantErr(t, "a later write", err, syscall.ECONNRESET)
		wantErr(t, "the end", gone(t, client), syscall.ECONNRESET)
	})
}

// clog writes until the transport is full.
func clog(t *testing.T, l *loop.Loop, c *stream.Conn) (written int) {
	t.Helper()
	for !stream.Full(c) {
		n, err := c.Write(make([]byte, 10_000))
		written += n
		if err != nil {
			t.Fatal(err)
		}
		looptest.Turns(l, 1)
	}
	return written
}

func TestS432_AWriterWaitsWhileTheTransportIsPaused(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	pairs(t, func(t *testing.T, l *loop.Loop, client, server *stream.Conn) {
		server.SetReadLimit(1)
		before := clog(t, l, client)
		writing := background(func() (int, error) { return client.Write(letters(9)) })
		until(t, l, "a writer", func() bool { _, w := stream.Waits(client); return w })
		if len(writing) > 0 {
			t.Error("the write does not wait")
		}
		want(t, server, make([]byte, before))
		if r := soon(t, "the write", writing); r.n != 9 || r.err != nil {
			t.Errorf("the write that waited: %d, %v", r.n, r.err)
		}
		want(t, server, letters(9))
	})
}

func TestS433_SeveralWritersMayWaitAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	pairs(t, func(t *testing.T, l *loop.Loop, client, server *stream.Conn) {
		server.SetReadLimit(1)
		before := clog(t, l, client)
		var writes [5]<-chan result
		for i := range writes {
			p := bytes.Repeat([]byte{'a' + byte(i)}, 9)
			writes[i] = background(func() (int, error) { return client.Write(p) })
		}
		until(t, l, "a writer", func() bool { _, w := stream.Waits(client); return w })
		for _, w := range writes {
			if len(w) > 0 {
				t.Error("a write does not wait")
			}
		}
		want(t, server, make([]byte, before))
		for _, w := range writes {
			if r := soon(t, "a write", w); r.n != 9 || r.err != nil {
				t.Errorf("a write that waited: %d, %v", r.n, r.err)
			}
		}
		seen := map[string]bool{}
		for range writes {
			p := make([]byte, 9)
			if _, err := io.ReadFull(server, p); err != nil {
				t.Error(err)
			}
			seen[string(p)] = true
			if p[0] < 'a' || p[0] > 'e' || string(p) != strings.Repeat(string(p[:1]), 9) {
				t.Errorf("read %q, which nobody wrote in one piece", p)
			}
		}
		if len(seen) != len(writes) {
			t.Errorf("%d different writes arrived", len(seen))
		}
	})
}

func TestS432_TheLossOfTheConnectionEndsWrites(t *testing.T) {
	pairs(t, func(t *testing.T, l *loop.Loop, client, server *stream.Conn) {
		server.SetReadLimit(1)
		clog(t, l, client)
		writing := background(func() (int, error) { return client.Write(make([]byte, 9)) })
		until(t, l, "a writer", func() bool { _, w := stream.Waits(client); return w })
		server.Abort()
		r := soon(t, "the write", writing)
		if r.n != 0 || !errors.Is(r.err, syscall.ECONNRESET) && !errors.Is(r.err, syscall.EPIPE) {
			t.Errorf("a write on a lost connection: %d, %v", r.n, r.err)
		}
	})
}

func TestS434_WaitClosedWaitsForAllThatWasWritten(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	pairs(t, func(t *testing.T, l *loop.Loop, client, server *stream.Conn) {
		server.SetReadLimit(1)
		size := clog(t, l, client)
		if err := client.Close(); err != nil {
			t.Error(err)
		}
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		// It is asked for the end first, so it has not come yet.
		wantErr(t, "WaitClosed of an ended context", client.WaitClosed(ended), context.Canceled)
		want(t, server, make([]byte, size))
		wantEOF(t, server)
		if err := gone(t, client); err != nil {
			t.Error(err)
		}
		wantErr(t, "a second Close", client.Close(), net.ErrClosed)
	})
}

func TestS434_WaitClosedReturnsWhyTheConnectionWasLost(t *testing.T) {
	pairs(t, func(t *testing.T, l *loop.Loop, client, server *stream.Conn) {
		waiting := background(func() (int, error) { return 0, gone(t, client) })
		reset(t, l, client, server)
		wantErr(t, "WaitClosed", soon(t, "the end", waiting).err, syscall.ECONNRESET)
	})
}

func TestS435_APlainConnectionSurvivesThePeersEnd(t *testing.T) {
	pairs(t, func(t *testing.T, l *loop.Loop, client, server *stream.Conn) {
		write(t, client, []byte("question"))
		if err := client.CloseWrite(); err != nil {
			t.Error(err)
		}
		_, err := client.Write([]byte("x"))
		wantErr(t, "a write after CloseWrite", err, syscall.EPIPE)
		all, err := io.ReadAll(server)
		if string(all) != "question" || err != nil {
			t.Errorf("%q, %v", all, err)
		}
		write(t, server, bytes.Repeat([]byte("answer"), 1000))
		server.Close()
		all, err = io.ReadAll(client)
		if len(all) != 6000 || err != nil {
			t.Errorf("%d bytes of the answer, %v", len(all), err)
		}
	})
}

func TestAPeerThatDoesNotReadIsNotAwaitedForever(t *testing.T) {
	pairs(t, func(t *testing.T, l *loop.Loop, client, server *stream.Conn) {
		if stream.LingerIsOver(client) {
			t.Error("an open connection has a timer for its end")
		}
		server.SetReadLimit(1)
		clog(t, l, client)
		client.Close()
		until(t, l, "the timer", func() bool { return stream.LingerIsOver(client) })
		wantErr(t, "WaitClosed", gone(t, client), transport.ErrCloseTimeout)
	})
}

// An attempt that was given up says where to, as package net's does.
func TestErrorOfDialNamesTheAddress(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		late, cancel := context.WithTimeout(context.Background(), time.Nanosecond)
		defer cancel()
		for _, ctx := range []context.Context{ended, late} {
			for network, addr := range map[string]string{"tcp": "127.0.0.1:9", "unix": "@nobody"} {
				_, err := stream.Dial(ctx, l, network, addr)
				op, ok := errors.AsType[*net.OpError](err)
				if !ok || op.Addr == nil || op.Addr.String() != addr || !errors.Is(err, ctx.Err()) {
					t.Errorf("%s: %v", network, err)
				}
			}
		}
	})
}

func TestDialOfAPacketNetworkSaysWhatToUse(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		_, err := stream.Dial(context.Background(), l, "udp", "127.0.0.1:9")
		unknown := net.UnknownNetworkError("")
		if !errors.As(err, &unknown) || !strings.Contains(err.Error(), "ListenPacket") {
			t.Error(err)
		}
	})
}
