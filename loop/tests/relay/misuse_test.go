package relay_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/internal/exacttest"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/transport"
)

// splice(2) stops before a byte out of band, and then says what it says at the end.
func TestBytesBehindOutOfBandDataArePassedOn(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		const half = 2 << 20
		conns := rig.OutsideConns(t, l, "tcp", 2)
		var n loop.Relayed
		err := errors.New("not ended")
		ended := false
		looptest.Do(l, func() {
			l.RelayFunc(context.Background(), conns[0].Transport(), conns[1].Transport(), nil,
				func(passed loop.Relayed, why error) { n, err, ended = passed, why, true })
		})
		from, to := conns[0].Peer.(*net.TCPConn), conns[1].Peer.(*net.TCPConn)
		var sending sync.WaitGroup
		sending.Go(func() {
			for i, off := range []uint64{0, half} {
				if i == 1 {
					sendOutOfBand(t, from)
				}
				if _, err := from.Write(exacttest.Bytes(half, 1, off)); err != nil {
					t.Error(err)
				}
			}
			from.CloseWrite()
		})
		if err := rig.ReadToEnd(to, 2*half, 1); err != nil {
			t.Error(err)
		}
		sending.Wait()
		to.CloseWrite()
		looptest.WaitFor(t, l, "the end", func() bool { return ended })
		if err != nil || n.AToB != 2*half {
			t.Errorf("%+v, %v", n, err)
		}
	})
}

func sendOutOfBand(t *testing.T, c *net.TCPConn) {
	raw, err := c.SyscallConn()
	if err != nil {
		t.Error(err)
		return
	}
	if err := raw.Write(func(fd uintptr) bool {
		err := syscall.Sendto(int(fd), []byte("!"), syscall.MSG_OOB, nil)
		return !errors.Is(err, syscall.EAGAIN)
	}); err != nil {
		t.Error(err)
	}
}

func TestRelaysWithOneCounterReportTheirOwnBytes(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		var counts loop.RelayCounts
		var chains []*chain
		for i := range 2 {
			c := chained(t, l, "tcp", "tcp", loop.RelayOptions{Counts: &counts})
			size := (i + 1) * 100_000
			looptest.Do(l, func() { send(c.left, 1, size, func() int { return 30_000 }, false) })
			looptest.WaitFor(t, l, "the bytes", func() bool { return c.right.Received() == size })
			chains = append(chains, c)
		}
		for i, c := range chains {
			looptest.Do(l, func() { c.left.Transport().Close() })
			looptest.Do(l, func() { c.right.Transport().Close() })
			c.waitEnded()
			if want := int64(i+1) * 100_000; c.n.AToB != want {
				t.Errorf("relay %d reports %d bytes", i, c.n.AToB)
			}
		}
		if n := counts.Now().AToB; n != 300_000 {
			t.Errorf("%d bytes are counted together", n)
		}
	})
}

func TestStartTLSIsRefusedDuringARelay(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		c := chained(t, l, "tcp", "tcp", loop.RelayOptions{})
		_, err := l.StartTLS(t.Context(), c.a.Transport(), c.a, rig.ClientTLS(), nil)
		check(t, "StartTLS", err, loop.ErrRelayed)
	})
}

// Somebody who still has the transport ends its output, while bytes come in bulk.
func TestAnEndWrittenByOthersEndsTheRelay(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		c := chained(t, l, "tcp", "tcp", loop.RelayOptions{})
		const size = 1 << 20
		looptest.Do(l, func() { send(c.left, 1, size, func() int { return 60_000 }, false) })
		looptest.WaitFor(t, l, "the bytes", func() bool { return c.right.Received() == size })
		looptest.Do(l, func() { c.b.Transport().WriteEOF() })
		looptest.Do(l, func() { c.left.Transport().Write(make([]byte, 60_000)) })
		c.endsWith(transport.ErrEOFWritten)
		c.hears(c.left)
		c.hears(c.right)
	})
}
