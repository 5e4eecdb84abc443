package relay_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/internal/leaktest"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// ends counts the ends of pipes among the descriptors of this process.
func ends() (n int) {
	for _, line := range leaktest.Descriptors() {
		if strings.Contains(line, "pipe:") {
			n++
		}
	}
	return n
}

// A pipe is in use only while bytes wait in it, and there are no more than were asked for.
func TestManyRelaysShareFewPipes(t *testing.T) {
	const relays, pipes, size = 40, 4, 1 << 20
	rig.OnKernelsWith(t, loop.Options{RelayPipes: pipes}, func(t *testing.T, l *loop.Loop) {
		before := ends()
		chains := make([]*chain, relays)
		for i := range chains {
			chains[i] = chained(t, l, "tcp", "tcp", loop.RelayOptions{})
			looptest.Do(l, func() {
				if i%2 == 0 { // half of them hold what they have
					chains[i].right.Transport().PauseReading()
				}
				send(chains[i].left, uint64(i), size, func() int { return 70_000 }, true)
			})
		}
		for i, c := range chains {
			if i%2 == 0 {
				continue
			}
			looptest.WaitFor(t, l, "the bytes", func() bool { return c.right.Received() == size })
			exactly(t, "a fast end", c.right, uint64(i), size)
		}
		if n := ends() - before; n == 0 || n > 2*pipes {
			t.Errorf("%d ends of pipes are open, want some and at most %d", n, 2*pipes)
		}
		for i, c := range chains {
			looptest.Do(l, func() {
				c.right.Transport().ResumeReading()
				c.right.Transport().WriteEOF()
			})
			looptest.WaitFor(t, l, "the bytes", func() bool { return c.right.Received() == size })
			exactly(t, "an end", c.right, uint64(i), size)
			c.endsWith(nil)
		}
		if n := ends() - before; n != 0 {
			t.Errorf("%d ends of pipes are open though no relay is left", n)
		}
	})
}

// How a loop ends.
const (
	byShutdown = "Shutdown"
	byAbort    = "Shutdown that aborts"
	byClose    = "Close"
)

// What waits in a pipe when the loop ends is closed with it, however it ends.
func TestTheEndOfALoopEndsItsRelays(t *testing.T) {
	for _, how := range []string{byShutdown, byAbort, byClose} {
		for _, engine := range []loop.Engine{loop.Uring, loop.Epoll} {
			t.Run(how+" "+engine.String(), func(t *testing.T) {
				l, err := loop.New(&loop.Options{Engine: engine})
				if err != nil {
					t.Skipf("needs %v: %v", engine, err)
				}
				before := ends()
				endOfLoop(t, l, how)
				if n := ends() - before; n != 0 {
					t.Errorf("%d ends of pipes are left", n)
				}
			})
		}
	}
}

// outside connects l to package net.
func outside(t *testing.T, l *loop.Loop) (transport.Transport, net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	inner, err := l.CreateConnection(t.Context(), transporttest.NewRecorder(t),
		ln.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	peer, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	return inner, peer
}

// endOfLoop relays to a peer that does not read, and ends the loop.
func endOfLoop(t *testing.T, l *loop.Loop, how string) {
	ran := make(chan error, 1)
	go func() { ran <- l.RunForever() }()
	a, left := outside(t, l)
	b, right := outside(t, l)
	var counts loop.RelayCounts
	var got error
	ended := false
	looptest.Do(l, func() {
		l.RelayFunc(t.Context(), a, b, &loop.RelayOptions{Counts: &counts},
			func(_ loop.Relayed, err error) { got, ended = err, true })
	})
	var writer sync.WaitGroup
	writer.Go(func() { flood(left) })
	for before := int64(-1); before != counts.Now().AToB || before == 0 || ends() == 0; {
		before = counts.Now().AToB
		looptest.Turns(l, 100)
	}
	ctx, cancel := context.WithTimeout(context.Background(), looptest.WaitTimeout)
	defer cancel()
	switch how {
	case byClose:
		rig.CloseRunning(t, l)
	case byShutdown:
		writer.Go(func() { _ = rig.Discard(right, 1<<30) }) // up to the end
		if err := l.Shutdown(ctx); err != nil || !ended || got == nil {
			t.Errorf("%v; the relay ended %v, with %v", err, ended, got)
		}
	case byAbort:
		cancel()
		err := l.Shutdown(ctx)
		if !errors.Is(err, context.Canceled) || !ended || !errors.Is(got, loop.ErrLoopClosed) {
			t.Errorf("%v; the relay ended %v, with %v", err, ended, got)
		}
	}
	<-ran
	left.Close()
	right.Close()
	writer.Wait()
}

// flood writes until the connection is over.
func flood(c net.Conn) {
	block := make([]byte, 256<<10)
	for {
		if _, err := c.Write(block); err != nil {
			return
		}
	}
}

// A peer that resets in the middle, with bytes in the pipe on the way to it or from it, is
// reported as a reset to the other end, and never as an end.
func TestAResetInTheMiddleOfASpliceIsAReset(t *testing.T) {
	const times = 60
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		for i := range times {
			left := rig.OutsideConns(t, l, "tcp", 1)[0]
			right := rig.OutsideConns(t, l, "tcp", 1)[0]
			var got error
			ended := false
			looptest.Do(l, func() {
				l.RelayFunc(t.Context(), left.Transport(), right.Transport(), nil,
					func(_ loop.Relayed, err error) { got, ended = err, true })
			})
			wrote := make(chan error, 1)
			go func() {
				block := make([]byte, 256<<10)
				for {
					if _, err := left.Peer.Write(block); err != nil {
						wrote <- err
						return
					}
				}
			}()
			if err := rig.Discard(right.Peer, 1<<20+i*4096); err != nil {
				t.Error(err)
			}
			if i%2 == 0 {
				rig.Reset(t, right.Peer)
				if err := <-wrote; !errors.Is(err, syscall.ECONNRESET) &&
					!errors.Is(err, syscall.EPIPE) {
					t.Errorf("the sender's write: %v", err)
				}
			} else {
				rig.Reset(t, left.Peer)
				<-wrote
				right.Peer.SetReadDeadline(time.Now().Add(looptest.WaitTimeout))
				if err := rig.Discard(right.Peer, 1<<30); !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("the receiver's read: %v", err)
				}
			}
			looptest.WaitFor(t, l, "the end", func() bool { return ended })
			if !errors.Is(got, syscall.ECONNRESET) {
				t.Errorf("the relay ended with %v", got)
			}
		}
	})
}
