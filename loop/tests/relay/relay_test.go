package relay_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/internal/exacttest"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/transport"
)

func check(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) || (err == nil) != (want == nil) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// sizesOf returns sizes up to most, small ones as likely as large ones.
func sizesOf(seed uint64, most int) func() int {
	random := rand.New(rand.NewPCG(seed, 3))
	return func() int { return 1 + random.IntN(1+random.IntN(most)) }
}

// kinds are the pairs of connections that are relayed.
var kinds = [][2]string{{"tcp", "tcp"}, {"unix", "unix"}, {"tcp", "unix"}, {"tls", "tcp"},
	{"tcp", "tls"}, {"tls", "tls"}}

// onAll runs f for each pair of kinds on each engine.
func onAll(t *testing.T, f func(t *testing.T, l *loop.Loop, left, right string)) {
	for _, k := range kinds {
		t.Run(k[0]+" "+k[1], func(t *testing.T) {
			looptest.Engines(t, func(t *testing.T, l *loop.Loop) { f(t, l, k[0], k[1]) })
		})
	}
}

func TestEveryByteIsPassedOnOnceAndInOrder(t *testing.T) {
	const size = 3<<20 + 12345
	onAll(t, func(t *testing.T, l *loop.Loop, left, right string) {
		for _, most := range []int{200_000, 3000} {
			c := chained(t, l, left, right, loop.RelayOptions{})
			n := size
			if most < 10_000 {
				n /= 8
			}
			looptest.Do(l, func() {
				send(c.left, 1, n, sizesOf(1, most), false)
				send(c.right, 2, n/2, sizesOf(2, most), false)
			})
			looptest.WaitFor(t, l, "the bytes", func() bool {
				return c.right.Received() >= n && c.left.Received() >= n/2
			})
			exactly(t, "the right end", c.right, 1, n)
			exactly(t, "the left end", c.left, 2, n/2)
			looptest.Do(l, func() {
				c.left.Transport().Close()
				c.right.Transport().Close()
			})
			c.endsWith(nil)
			if want := (loop.Relayed{AToB: int64(n), BToA: int64(n / 2)}); c.n != want {
				t.Errorf("counted %+v, want %+v", c.n, want)
			}
		}
	})
}

// The end of one direction leaves the other one open, in whatever order they end.
func TestAnEndIsPassedOnAndTheOtherDirectionGoesOn(t *testing.T) {
	const size = 2<<20 + 77
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		for _, k := range kinds[:3] {
			for _, leftFirst := range []bool{true, false} {
				c := chained(t, l, k[0], k[1], loop.RelayOptions{})
				first, second := c.left, c.right
				if !leftFirst {
					first, second = c.right, c.left
				}
				looptest.Do(l, func() { send(first, 1, size, sizesOf(4, 100_000), true) })
				looptest.WaitFor(t, l, "the first end", second.GotEOF)
				exactly(t, "the second", second, 1, size)
				if c.ended || first.GotEOF() {
					t.Errorf("ended %v, the first got an end: %v", c.ended, first.GotEOF())
				}
				looptest.Do(l, func() { send(second, 2, size, sizesOf(5, 100_000), true) })
				looptest.WaitFor(t, l, "the second end", first.GotEOF)
				exactly(t, "the first", first, 2, size)
				c.endsWith(nil)
			}
		}
	})
}

// TLS has no half-close: the end of one direction is that of both.
func TestOverTLSTheEndOfOneDirectionIsTheEndOfBoth(t *testing.T) {
	const size = 1<<20 + 7
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		for _, k := range kinds[3:] {
			for _, leftFirst := range []bool{true, false} {
				c := chained(t, l, k[0], k[1], loop.RelayOptions{})
				first, second := c.left, c.right
				if !leftFirst {
					first, second = c.right, c.left
				}
				looptest.Do(l, func() {
					s := send(first, 1, size, sizesOf(4, 100_000), false)
					first.On.Resume = func() {
						s.paused = false
						s.more()
						if s.at == s.size {
							first.Transport().Close()
						}
					}
					if s.at == s.size {
						first.Transport().Close()
					}
				})
				c.endsWith(nil)
				rig.WaitLostWith(t, l, first, nil)
				looptest.WaitFor(t, l, "the end", second.GotEOF)
				exactly(t, "the second", second, 1, size)
			}
		}
	})
}

// A reset never becomes an end of file.
func TestAResetIsPassedOnAsAReset(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		for _, k := range append(kinds[:1:1], kinds[3:]...) {
			for _, leftResets := range []bool{true, false} {
				for _, bytes := range []int{0, 10, 500_000} {
					c := chained(t, l, k[0], k[1], loop.RelayOptions{})
					first, second := c.left, c.right
					if !leftResets {
						first, second = c.right, c.left
					}
					looptest.Do(l, func() { send(first, 1, bytes, sizesOf(6, 50_000), false) })
					looptest.WaitFor(t, l, "the bytes", func() bool {
						return second.Received() == bytes
					})
					looptest.Do(l, func() { looptest.Reset(l, first.Transport()) })
					c.endsWith(syscall.ECONNRESET)
					rig.WaitLostWith(t, l, second, syscall.ECONNRESET)
					if second.GotEOF() {
						t.Error("the reset has become an end")
					}
				}
			}
		}
	})
}

// A reset of the one who receives, while bytes wait for it in the pipe or in the
// transport, is passed on to the one who sends.
func TestAResetOfAPeerThatDoesNotReadIsPassedOn(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		for _, k := range kinds {
			if k[0] == "unix" || k[1] == "unix" {
				continue
			}
			c := chained(t, l, k[0], k[1], loop.RelayOptions{})
			looptest.Do(l, func() {
				c.right.Transport().PauseReading()
				send(c.left, 1, 64<<20, func() int { return 100_000 }, false)
			})
			c.waitStalled()
			looptest.Do(l, func() { looptest.Reset(l, c.right.Transport()) })
			c.waitEnded()
			if c.err == nil {
				t.Error("the relay ended without an error")
			}
			rig.WaitLost(t, l, c.left)
			if _, err := c.left.Lost(); err == nil || c.left.GotEOF() {
				t.Errorf("the sender is lost with %v, after an end %v", err, c.left.GotEOF())
			}
		}
	})
}

// waitStalled waits until nothing has moved for several rounds.
func (c *chain) waitStalled() {
	c.t.Helper()
	looptest.WaitFor(c.t, c.l, "a full output", func() bool {
		return c.left.Transport().WritePaused()
	})
	looptest.Turns(c.l, 30)
}

// What a slow peer makes a relay hold is bounded, and nothing of it is lost.
func TestASlowPeerIsWaitedFor(t *testing.T) {
	const size = 6 << 20
	onAll(t, func(t *testing.T, l *loop.Loop, left, right string) {
		const most = 128 << 10
		var counts loop.RelayCounts
		c := chained(t, l, left, right, loop.RelayOptions{Buffer: most, Counts: &counts})
		var s *sender
		looptest.Do(l, func() {
			c.right.Transport().PauseReading()
			s = send(c.left, 1, size, func() int { return 50_000 }, false)
		})
		c.waitStalled()
		looptest.Do(l, func() {
			if s.at == s.size {
				t.Fatalf("all of the %d bytes were taken though nobody reads", size)
			}
			if n := c.b.Transport().WriteBufferSize(); n > most+256<<10 {
				t.Errorf("%d bytes are buffered", n)
			}
			if n := counts.Now().AToB; n <= 0 || n >= size {
				t.Errorf("%d bytes are counted", n)
			}
			c.right.Transport().ResumeReading()
		})
		looptest.WaitFor(t, l, "the bytes", func() bool { return c.right.Received() >= size })
		exactly(t, "the right end", c.right, 1, size)
		if n := counts.Now().AToB; n != size {
			t.Errorf("%d bytes are counted", n)
		}
	})
}

// What had arrived before the relay began, and what was written then, comes first.
func TestARelayTakesWhatWasThereBefore(t *testing.T) {
	onAll(t, func(t *testing.T, l *loop.Loop, left, right string) {
		c := connect(t, l, left, right)
		looptest.Do(l, func() {
			c.a.Transport().PauseReading()
			send(c.left, 1, 300_000, func() int { return 30_000 }, false)
		})
		looptest.Turns(l, 20)
		looptest.Do(l, func() {
			if n := c.a.Received(); n > 0 {
				t.Fatalf("%d bytes were received though reading is paused", n)
			}
			c.b.Transport().Write([]byte("hello from the protocol"))
			c.relay(t.Context(), loop.RelayOptions{})
		})
		want := append([]byte("hello from the protocol"), exacttest.Bytes(300_000, 1, 0)...)
		rig.WaitData(t, l, c.right, want)
		if c.a.Received() > 0 || c.a.GotEOF() {
			t.Error("the replaced protocol was called")
		}
	})
}

// An end that was received before is passed on at once.
func TestAnEndThatWasReceivedBeforeIsPassedOn(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		for _, paused := range []bool{false, true} {
			c := connect(t, l, "tcp", "tcp")
			looptest.Do(l, func() {
				c.a.On.EOF = func() bool { return true }
				if paused {
					c.a.Transport().PauseReading()
				}
				c.left.Transport().Write([]byte("last words"))
				c.left.Transport().WriteEOF()
			})
			if paused {
				looptest.Turns(l, 20)
			} else {
				looptest.WaitFor(t, l, "the end", c.a.GotEOF)
			}
			looptest.Do(l, func() { c.relay(t.Context(), loop.RelayOptions{}) })
			looptest.WaitFor(t, l, "the end", c.right.GotEOF)
			looptest.Do(l, func() {
				c.right.Transport().Write([]byte("answer"))
				c.right.Transport().WriteEOF()
			})
			looptest.WaitFor(t, l, "the other end", c.left.GotEOF)
			rig.WaitData(t, l, c.left, []byte("answer"))
			c.endsWith(nil)
		}
	})
}

func TestAnIdleRelayEnds(t *testing.T) {
	onAll(t, func(t *testing.T, l *loop.Loop, left, right string) {
		const d = 50 * time.Millisecond
		c := chained(t, l, left, right, loop.RelayOptions{IdleTimeout: d})
		looptest.Do(l, func() { c.left.Transport().Write([]byte("x")) })
		c.endsWith(transport.ErrIdleTimeout)
		c.hears(c.left)
		c.hears(c.right)
	})
}

// One that stalls in the middle is idle as well.
func TestAStalledRelayIsIdle(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		for _, k := range kinds {
			c := chained(t, l, k[0], k[1], loop.RelayOptions{IdleTimeout: 100 * time.Millisecond})
			looptest.Do(l, func() {
				c.right.Transport().PauseReading()
				send(c.left, 1, 64<<20, func() int { return 100_000 }, false)
			})
			c.endsWith(transport.ErrIdleTimeout)
		}
	})
}

func TestARelayPassesOnNoMoreThanItMay(t *testing.T) {
	onAll(t, func(t *testing.T, l *loop.Loop, left, right string) {
		const most = 300_000
		c := chained(t, l, left, right, loop.RelayOptions{MaxBytes: most})
		looptest.Do(l, func() { send(c.left, 1, most, func() int { return 60_000 }, false) })
		looptest.WaitFor(t, l, "the bytes", func() bool { return c.right.Received() == most })
		if c.ended {
			t.Error("ended although no more has come than may")
		}
		looptest.Do(l, func() { c.left.Transport().Write([]byte("x")) })
		c.endsWith(loop.ErrRelayLimit)
		c.hears(c.right)
		exactly(t, "the right end", c.right, 1, most)
		if c.n.AToB != most {
			t.Errorf("counted %d", c.n.AToB)
		}
		c = chained(t, l, left, right, loop.RelayOptions{MaxBytes: most})
		looptest.Do(l, func() { send(c.left, 1, 5*most, func() int { return 70_001 }, false) })
		c.endsWith(loop.ErrRelayLimit)
		if n := c.right.Received(); n > most {
			t.Errorf("%d bytes were passed on", n)
		}
	})
}

func TestTheContextEndsARelay(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		reason := errors.New("enough")
		for _, k := range kinds {
			ctx, cancel := context.WithCancelCause(t.Context())
			c := connect(t, l, k[0], k[1])
			looptest.Do(l, func() {
				c.relay(ctx, loop.RelayOptions{})
				c.right.Transport().PauseReading()
				send(c.left, 1, 64<<20, func() int { return 100_000 }, false)
			})
			c.waitStalled()
			cancel(reason)
			c.endsWith(reason)
			c.hears(c.left)
			looptest.Do(l, func() { c.right.Transport().ResumeReading() })
			c.hears(c.right)
		}
	})
}

// Close sends what was passed on, pipe included; Abort does not.
func TestClosingOneTransportClosesTheOther(t *testing.T) {
	onAll(t, func(t *testing.T, l *loop.Loop, left, right string) {
		for _, abort := range []bool{false, true} {
			var counts loop.RelayCounts
			c := chained(t, l, left, right, loop.RelayOptions{Counts: &counts})
			looptest.Do(l, func() {
				c.right.Transport().PauseReading()
				send(c.left, 1, 64<<20, func() int { return 100_000 }, false)
			})
			c.waitStalled()
			passed := 0
			looptest.Do(l, func() {
				passed = int(counts.Now().AToB)
				if abort {
					c.a.Transport().Abort()
				} else {
					c.a.Transport().Close()
				}
			})
			looptest.Do(l, func() { c.right.Transport().ResumeReading() })
			c.endsWith(transport.ErrClosed)
			c.hears(c.right)
			c.hears(c.left)
			n := c.right.Received()
			if err := exacttest.Check(c.right.Data(), 1, 0); err != nil || n < passed {
				t.Errorf("received %d, at least %d were passed on: %v", n, passed, err)
			}
		}
	})
}

func TestWhatCannotBeRelayed(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		c := connect(t, l, "tcp", "tcp")
		reader, _ := rig.PipeEnds(t, l)
		for _, o := range []loop.RelayOptions{{Buffer: -1}, {MaxBytes: -1}, {IdleTimeout: -1}} {
			_, err := l.Relay(t.Context(), c.a.Transport(), c.b.Transport(), &o)
			check(t, fmt.Sprintf("%+v", o), err, loop.ErrBadOption)
		}
		try := func(what string, a, b transport.Transport, want error) {
			t.Helper()
			n, err := l.Relay(t.Context(), a, b, nil)
			check(t, what, err, want)
			n2, err := l.Relay(t.Context(), b, a, nil)
			check(t, what, err, want)
			if n != (loop.Relayed{}) || n2 != (loop.Relayed{}) {
				t.Errorf("%s: passed on %v, %v", what, n, n2)
			}
		}
		a, b := c.a.Transport(), c.b.Transport()
		try("nothing", a, nil, transport.ErrClosed)
		try("itself", a, a, loop.ErrRelayed)
		try("a pipe", a, reader.Transport(), errors.ErrUnsupported)
		if a.Protocol() != c.a || b.Protocol() != c.b {
			t.Error("a protocol was replaced")
		}
		looptest.Do(l, func() { b.WriteEOF() })
		try("no output", a, b, transport.ErrEOFWritten)
		other := connect(t, l, "tcp", "tcp")
		looptest.Do(l, func() { other.a.Transport().Abort() })
		try("closed", a, other.a.Transport(), transport.ErrClosed)
		again := chained(t, l, "tcp", "tcp", loop.RelayOptions{})
		try("relayed", a, again.a.Transport(), loop.ErrRelayed)
		ctx, cancel := context.WithCancelCause(t.Context())
		reason := errors.New("before it began")
		cancel(reason)
		fresh := connect(t, l, "tcp", "tcp")
		_, err := l.Relay(ctx, fresh.a.Transport(), fresh.b.Transport(), nil)
		check(t, "a context that is over", err, context.Canceled)
		looptest.Do(l, func() {
			l.RelayFunc(ctx, fresh.a.Transport(), fresh.b.Transport(), nil,
				func(_ loop.Relayed, err error) { check(t, "the twin", err, reason) })
		})
		if fresh.a.Transport().IsClosing() {
			t.Error("closed because of that")
		}
	})
}
