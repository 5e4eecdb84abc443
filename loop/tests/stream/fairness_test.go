package stream_test

import (
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// counted is a protocol that counts what it receives.
type counted struct {
	sink
	bytes, calls int
	each         func(n int)
}

func (c *counted) DataReceived(data []byte) {
	c.bytes += len(data)
	c.calls++
	if c.each != nil {
		c.each(len(data))
	}
}

// busy has peers send without rest, one message after the other, until the test is
// over. Each of the senders does that for a part of them: many goroutines that are
// always ready would keep the loop's waiting.
func busy(t *testing.T, conns []rig.OutsideConn, senders int, message []byte) {
	stop := make(chan struct{})
	var ended sync.WaitGroup
	for i := range senders {
		ended.Go(func() {
			for {
				for j := i; j < len(conns); j += senders {
					select {
					case <-stop:
						return
					default:
					}
					if _, err := conns[j].Peer.Write(message); err != nil {
						return // the end of the test
					}
				}
			}
		})
	}
	t.Cleanup(func() {
		close(stop)
		for _, g := range conns {
			g.Peer.Close()
		}
		ended.Wait()
	})
}

// A buffer that comes back must not wake everybody who lacks one: each would fail but
// the first.
func TestScarceBuffersDoNotMakeReceivesFailInVain(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	for _, size := range []int{100, 20 << 10} {
		o := loop.Options{Buffers: loop.BufferOptions{Min: 1, Max: 1, Size: 4 << 10}}
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			rig.OnKernelsWith(t, o, func(t *testing.T, l *loop.Loop) {
				conns := rig.OutsideConns(t, l, "tcp", 200)
				all := &counted{}
				looptest.Do(l, func() {
					for _, g := range conns {
						if err := g.Transport().SetProtocol(all); err != nil {
							t.Error(err)
						}
					}
				})
				// The transports belong to the server, which aborts them.
				busy(t, conns, 4, make([]byte, size))
				looptest.WaitFor(t, l, "receives", func() bool { return all.calls > 500 })
				before, useful := loop.Stats{}, 0
				looptest.Do(l, func() { before, useful = l.Stats(), all.calls })
				looptest.WaitFor(t, l, "more", func() bool { return all.calls > useful+1500 })
				looptest.Do(l, func() {
					failed := l.Stats().BuffersExhausted - before.BuffersExhausted
					if useful = all.calls - useful; failed > 4*uint64(useful) {
						t.Errorf("%d receives found no buffer, beside %d that found one",
							failed, useful)
					}
				})
			})
		})
	}
}

// roundMax is what one connection may receive in a round, and bufferSize what one
// receive may bring beyond that.
const roundMax, bufferSize = 256 << 10, 64 << 10

func TestS040_AConnectionThatSendsWithoutRestLeavesRoomForOthers(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	for _, network := range []string{"tcp", "unix"} {
		for _, kind := range []string{"Protocol", "BufferedProtocol"} {
			t.Run(network+" "+kind, func(t *testing.T) {
				rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
					flood(t, l, network, kind == "BufferedProtocol")
				})
			})
		}
	}
}

// flood looks at how much a connection whose peer is always ahead receives between
// two runs of what CallSoon and CallLater schedule.
func flood(t *testing.T, l *loop.Loop, network string, buffered bool) {
	conns := rig.OutsideConns(t, l, network, 1)
	g := conns[0]
	const most = 200 << 20
	var soon, later round
	all := &counted{each: func(n int) {
		soon.got += n
		later.got += n
		hold(2 * time.Millisecond) // the peer is faster
	}}
	looptest.Do(l, func() {
		rig.SetOption(t, g.Transport(), syscall.SO_RCVBUFFORCE, 8<<20)
		peer := g.Peer.(interface{ SetWriteBuffer(int) error })
		if err := peer.SetWriteBuffer(8 << 20); err != nil {
			t.Error(err)
		}
		p := transport.BaseProtocol(all)
		if buffered {
			p = &lender{all: all, buf: l.AllocBuffer(bufferSize)}
		}
		if err := g.Transport().SetProtocol(p); err != nil {
			t.Error(err)
		}
	})
	busy(t, conns, 1, make([]byte, 1<<20))
	looptest.WaitFor(t, l, "a flood", func() bool { return all.calls > 20 })
	looptest.Do(l, func() {
		soon.next(func(f func()) { l.CallSoon(f) })
		later.next(func(f func()) { l.CallLater(0, f) })
	})
	looptest.WaitFor(t, l, "rounds", func() bool {
		return soon.count >= 50 && later.count >= 50 || all.bytes > most
	})
	looptest.Do(l, func() {
		soon.stop, later.stop = true, true
		for name, r := range map[string]*round{"CallSoon": &soon, "CallLater": &later} {
			if r.count < 50 || r.most > roundMax+bufferSize {
				t.Errorf("%s: %d rounds, up to %d bytes in one, which is to be %d "+
					"and a buffer at most", name, r.count, r.most, roundMax)
			}
		}
	})
}

// round counts the bytes that were received between two runs of a function that
// schedules itself again.
type round struct {
	got, most, count int
	stop             bool
}

func (r *round) next(schedule func(func())) {
	r.got = 0
	var run func()
	run = func() {
		r.most = max(r.most, r.got)
		r.got = 0
		if r.count++; !r.stop {
			schedule(run)
		}
	}
	schedule(run)
}

// hold keeps the loop's goroutine busy.
func hold(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
	}
}

// lender is a counted that receives into memory of its own.
type lender struct {
	protocol.Base
	all *counted
	buf []byte
}

func (p *lender) GetBuffer(int) []byte { return p.buf }
func (p *lender) BufferUpdated(n int)  { p.all.DataReceived(p.buf[:n]) }

// Datagrams have buffers of their own: where there is only one for all connections, it
// is not theirs.
func TestOneBufferIsEnoughForStreamsBesideDatagrams(t *testing.T) {
	o := loop.Options{Buffers: loop.BufferOptions{Min: 1, Max: 1}}
	looptest.EnginesWith(t, o, func(t *testing.T, l *loop.Loop) {
		client, endpoint := rig.DatagramPair(t, l)
		rig.SendAll(t, l, client, rig.Nobody, "a datagram")
		rig.WantTexts(t, l, endpoint, "a datagram")
		server, other := rig.Pair(t, l)
		looptest.Do(l, func() { other.Transport().Write([]byte("a stream")) })
		looptest.WaitFor(t, l, "the stream", func() bool {
			return string(server.Data()) == "a stream"
		})
		rig.SendAll(t, l, client, rig.Nobody, "another")
		rig.WantTexts(t, l, endpoint, "a datagram", "another")
	})
}
