package stream_test

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/stream"
)

func TestAcceptEndsWithCloseAndWithItsDeadline(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		ln := listen(t, l, "tcp").(*stream.Listener)
		ln.SetDeadline(time.Now().Add(time.Millisecond))
		_, err := ln.Accept()
		wantErr(t, "Accept", err, os.ErrDeadlineExceeded)
		ln.SetDeadline(time.Time{})
		accepting := background(func() (int, error) {
			_, err := ln.Accept()
			return 0, err
		})
		if err := ln.Close(); err != nil {
			t.Error(err)
		}
		wantErr(t, "Accept", soon(t, "Accept", accepting).err, net.ErrClosed)
		wantErr(t, "a second Close", ln.Close(), net.ErrClosed)
		_, err = stream.Dial(context.Background(), l, "tcp", ln.Addr().String())
		wantErr(t, "Dial", err, syscall.ECONNREFUSED)
	})
}

func TestCloseAbortsWhatNobodyAccepted(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		ln := listen(t, l, "tcp")
		c, err := stream.Dial(context.Background(), l, "tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		until(t, l, "the connection", func() bool {
			n, _ := stream.Waiting(ln)
			return n == 1
		})
		ln.Close()
		wantEOF(t, c)
		c.Close()
		gone(t, c.(*stream.Conn))
	})
}

func TestTheLoopAcceptsNoMoreThanAreAskedFor(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		const clients, most = 300, 128
		ln := listen(t, l, "tcp")
		defer ln.Close()
		var conns [clients]net.Conn
		for i := range conns {
			var err error
			conns[i], err = stream.Dial(context.Background(), l, "tcp", ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
		}
		until(t, l, "a pause", func() bool {
			_, paused := stream.Waiting(ln)
			return paused
		})
		looptest.Turns(l, 20)
		if n, _ := stream.Waiting(ln); n < most || n >= clients {
			t.Errorf("%d connections wait for Accept", n)
		}
		for range clients {
			c, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
			gone(t, c.(*stream.Conn))
		}
		for _, c := range conns {
			c.Close()
			gone(t, c.(*stream.Conn))
		}
	})
}

func TestErrorsOfDialAndListen(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		ctx := context.Background()
		ln := listen(t, l, "tcp")
		defer ln.Close()
		addr := ln.Addr().String()
		_, err := stream.Listen(l, "tcp", addr)
		wantErr(t, "Listen twice", err, syscall.EADDRINUSE)
		_, err = stream.Dial(ctx, l, "tcp6", addr)
		wantErr(t, "tcp6 to an IPv4 address", err, loop.ErrNoAddress)
		_, err = stream.Listen(l, "tcp4", "[::1]:0")
		wantErr(t, "tcp4 at an IPv6 address", err, loop.ErrNoAddress)
		for _, network := range []string{"udp", "ip", ""} {
			var unknown net.UnknownNetworkError
			if _, err = stream.Dial(ctx, l, network, addr); !errors.As(err, &unknown) {
				t.Errorf("Dial(%q): %v", network, err)
			}
			if _, err = stream.Listen(l, network, addr); !errors.As(err, &unknown) {
				t.Errorf("Listen(%q): %v", network, err)
			}
		}
		ended, cancel := context.WithCancel(ctx)
		cancel()
		_, err = stream.Dial(ended, l, "tcp", addr)
		wantErr(t, "Dial of an ended context", err, context.Canceled)
	})
}

func TestNothingWaitsOnTheLoopsGoroutine(t *testing.T) {
	pairs(t, func(t *testing.T, l *loop.Loop, client, server *stream.Conn) {
		ln := listen(t, l, "tcp")
		defer ln.Close()
		server.SetReadLimit(1)
		clog(t, l, client)
		looptest.Do(l, func() {
			ctx := context.Background()
			_, err := client.Read(make([]byte, 1))
			wantErr(t, "Read", err, loop.ErrOnLoop)
			_, err = client.Write(make([]byte, 1))
			wantErr(t, "Write", err, loop.ErrOnLoop)
			wantErr(t, "WaitClosed", client.WaitClosed(ctx), loop.ErrOnLoop)
			wantErr(t, "StartTLS", client.StartTLS(ctx, nil), loop.ErrOnLoop)
			_, err = ln.Accept()
			wantErr(t, "Accept", err, loop.ErrOnLoop)
			_, err = stream.Dial(ctx, l, "tcp", "127.0.0.1:1")
			wantErr(t, "Dial", err, loop.ErrOnLoop)
			_, err = stream.Listen(l, "tcp", "127.0.0.1:0")
			wantErr(t, "Listen", err, loop.ErrOnLoop)
			if err := client.Close(); err != nil {
				t.Error("Close:", err)
			}
			if err := ln.Close(); err != nil {
				t.Error("Close of the listener:", err)
			}
		})
	})
}

// ending makes a loop with a connection and a listener that somebody waits for, ends
// it, and returns what those who waited got.
func ending(t *testing.T, end func(l *loop.Loop)) (read, accept error) {
	l, err := loop.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.RunForever() }()
	looptest.Do(l, func() {})
	ln := listen(t, l, "tcp")
	client, server, err := connect(l, ln)
	if err != nil {
		t.Fatal(err)
	}
	reading := background(func() (int, error) { return client.Read(make([]byte, 1)) })
	accepting := background(func() (int, error) {
		_, err := ln.Accept()
		return 0, err
	})
	var halfWay sync.WaitGroup
	halfWay.Go(func() { server.Read(make([]byte, 1)) })
	for r := false; !r; r, _ = stream.Waits(client) {
		looptest.Turns(l, 1)
	}
	end(l)
	if err := soon(t, "the loop", ended); err != nil {
		t.Error(err)
	}
	l.Close()
	halfWay.Wait()
	read, accept = soon(t, "Read", reading).err, soon(t, "Accept", accepting).err
	_, err = client.Write(make([]byte, 1))
	if err == nil {
		t.Error("a write on a closed loop")
	}
	client.Close()
	_, err = stream.Dial(context.Background(), l, "tcp", ln.Addr().String())
	wantErr(t, "Dial on a closed loop", err, loop.ErrLoopClosed)
	_, err = stream.Listen(l, "tcp", "127.0.0.1:0")
	wantErr(t, "Listen on a closed loop", err, loop.ErrLoopClosed)
	ln.Close()
	return read, accept
}

func TestTheEndOfTheLoopEndsWhatWaits(t *testing.T) {
	t.Run("Shutdown", func(t *testing.T) {
		read, accept := ending(t, func(l *loop.Loop) { l.Shutdown(context.Background()) })
		// Which end is closed first decides whether the other still sees that.
		if read == nil {
			t.Error("Read returned nothing")
		}
		wantErr(t, "Accept", accept, loop.ErrLoopClosed)
	})
	t.Run("Close", func(t *testing.T) {
		read, accept := ending(t, func(l *loop.Loop) { l.Stop() })
		wantErr(t, "Read", read, loop.ErrLoopClosed)
		wantErr(t, "Accept", accept, loop.ErrLoopClosed)
	})
}
