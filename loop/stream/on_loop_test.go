package stream_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/stream"
	"github.com/sluice-net/sluice/loop/tests/rig"
)

// A goroutine that waits in a method holds what serialises the calls, and only the loop can
// end its wait.
func TestTheLoopsGoroutineDoesNotWaitForOneThatWaitsForTheLoop(t *testing.T) {
	kernels(t, func(t *testing.T, l *loop.Loop) {
		client, _ := pair(t, l)
		message, _ := messagePair(t, l)
		ln := listen(t, l, "tcp")
		defer ln.Close()
		p, err := stream.ListenPacket(l, "udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		large := make([]byte, 16<<20)
		for what, f := range map[string]func() error{
			"Read":          func() error { _, err := client.Read(make([]byte, 1)); return err },
			"Write":         func() error { _, err := client.Write(large); return err },
			"Accept":        func() error { _, err := ln.Accept(); return err },
			"ReadFrom":      func() error { _, _, err := p.ReadFrom(make([]byte, 1)); return err },
			"MessageConn's": func() error { _, err := message.Read(make([]byte, 1)); return err },
		} {
			go f() // until all is closed
			for began := time.Now(); time.Since(began) < 20*time.Millisecond; {
				looptest.Do(l, func() { err = f() })
				if !errors.Is(err, loop.ErrOnLoop) {
					t.Fatalf("%s on the loop: %v", what, err)
				}
			}
		}
	})
}

func TestCloseOfAListenerWhoseLoopIsClosedRemovesTheFile(t *testing.T) {
	kernels(t, func(t *testing.T, l *loop.Loop) {
		path := filepath.Join(t.TempDir(), "s")
		ln, err := stream.Listen(l, "unix", path)
		if err != nil {
			t.Fatal(err)
		}
		rig.CloseRunning(t, l)
		if err := ln.Close(); !errors.Is(err, loop.ErrLoopClosed) {
			t.Errorf("Close: %v", err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the file: %v", err)
		}
		if err := ln.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Close once more: %v", err)
		}
	})
}

// The peer's end is noticed by the first write. The second one is in the same round as
// ConnectionLost, and longer than what the transport is known to take.
func TestAMessageInTheRoundOfTheEndIsNotRefusedAsIfClosedByUs(t *testing.T) {
	kernels(t, func(t *testing.T, l *loop.Loop) {
		client, server := messagePair(t, l)
		if err := server.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Read(make([]byte, 1)); err == nil {
			t.Fatal("no end")
		}
		done := make(chan struct{})
		l.CallSoonThreadsafe(func() {
			client.Write([]byte("a"))
			l.CallSoon(func() {
				defer close(done)
				if _, err := client.Write([]byte("bb")); errors.Is(err, net.ErrClosed) {
					t.Errorf("nobody has closed it: %v", err)
				}
			})
		})
		<-done
	})
}

func TestAPortThatIsTakenOnIPv6IsNotServedOnIPv4Alone(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	kernels(t, func(t *testing.T, l *loop.Loop) {
		six, err := net.ListenPacket("udp6", "[::]:0")
		if err != nil {
			t.Skip("needs IPv6:", err)
		}
		defer six.Close()
		_, port, _ := net.SplitHostPort(six.LocalAddr().String())
		if p, err := stream.ListenPacket(l, "udp", ":"+port); err == nil {
			t.Errorf("it listens at %v alone", p.LocalAddr())
			p.Close()
		}
	})
}
