package stream_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
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

// Rounds that are larger than the queues of a ring: more sends than the submission
// queue holds, more completions than the completion queue, more slices than one
// hand-over describes.

// One message goes to everybody in each round, and in each round some reset.
func TestAResetOfSomeDuringAFanOutCostsTheOthersNothing(t *testing.T) {
	const perRound = 8
	rounds := rig.Amount(60)
	for _, entries := range []uint32{0, 8} {
		t.Run(fmt.Sprint("entries ", entries), func(t *testing.T) {
			rig.OnKernelsWith(t, loop.Options{Entries: entries}, func(t *testing.T, l *loop.Loop) {
				conns := rig.OutsideConns(t, l, "tcp", rig.Amount(1000))
				random := rand.New(rand.NewPCG(1, 2))
				random.Shuffle(len(conns), func(i, j int) {
					conns[i], conns[j] = conns[j], conns[i]
				})
				staying := conns[rounds*perRound:]
				size := 0
				for r := range rounds {
					message := exacttest.Bytes(1+random.IntN(300), 1, uint64(size))
					size += len(message)
					going := conns[r*perRound:][:perRound]
					var resets sync.WaitGroup
					resets.Go(func() {
						for _, g := range going {
							rig.Reset(t, g.Peer)
						}
					})
					looptest.Do(l, func() { fanOut(conns, message) })
					resets.Wait()
				}
				finish(t, l, staying, size)
				for _, g := range conns[:rounds*perRound] {
					rig.WaitLostWith(t, l, g.Recorder, syscall.ECONNRESET)
				}
			})
		})
	}
}

// fanOut writes a message to everybody. What was lost says so.
func fanOut(conns []rig.OutsideConn, message []byte) {
	for _, g := range conns {
		g.Transport().Write(message)
	}
}

// finish ends the streams of conns, to each of whom the first size bytes of stream
// 1 were written, and checks that all of it arrived and nothing was lost.
func finish(t *testing.T, l *loop.Loop, conns []rig.OutsideConn, size int) {
	t.Helper()
	looptest.Do(l, func() {
		for _, g := range conns {
			g.Transport().Close()
		}
	})
	var readers sync.WaitGroup
	for i, g := range conns {
		readers.Go(func() {
			if err := rig.ReadToEnd(g.Peer, size, 1); err != nil {
				t.Errorf("connection %d of %d: %v", i, len(conns), err)
			}
		})
	}
	readers.Wait()
	for _, g := range conns {
		rig.WaitLostWith(t, l, g.Recorder, nil)
	}
}

// More sends of one round fail, for want of room, than the completion queue holds.
func TestFullSocketsWrittenToInOneRoundLoseNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	for _, c := range []struct {
		n     int
		queue uint32
	}{{4500, 0}, {400, 1}, {400, 16}} {
		t.Run(fmt.Sprint(c.n, " queue ", c.queue), func(t *testing.T) {
			o := loop.Options{Entries: c.queue, CQEntries: c.queue}
			rig.OnKernelsWith(t, o, func(t *testing.T, l *loop.Loop) {
				conns := rig.OutsideConns(t, l, "unix", c.n)
				filled := make([]int, len(conns))
				looptest.Do(l, func() {
					for i, g := range conns {
						rig.SetOption(t, g.Transport(), syscall.SO_SNDBUF, 4608)
						filled[i] = rig.FillSocket(t, g.Transport())
					}
				})
				looptest.Turns(l, 3)
				const size = 100
				message := exacttest.Bytes(size, 1, 0)
				looptest.Do(l, func() { fanOut(conns, message) })
				looptest.Turns(l, 3)
				taken := 0
				looptest.Do(l, func() {
					for _, g := range conns {
						if g.Transport().WriteBufferSize() != size {
							taken++
						}
						g.Transport().Close()
					}
				})
				if taken > 0 {
					t.Errorf("%d full sockets are said to have taken the message", taken)
				}
				readBehind(t, conns, filled, size)
				for _, g := range conns {
					rig.WaitLostWith(t, l, g.Recorder, nil)
				}
			})
		})
	}
}

// What the completion queue has no room for is kept by the kernel. Stats count it.
func TestOverflowsCountsWhatDidNotFitInTheCompletionQueue(t *testing.T) {
	options := loop.Options{Entries: 16, CQEntries: 16}
	rig.OnKernelsWith(t, options, func(t *testing.T, l *loop.Loop) {
		conns := rig.OutsideConns(t, l, "unix", 500)
		looptest.Do(l, func() {
			for _, g := range conns {
				rig.SetOption(t, g.Transport(), syscall.SO_SNDBUF, 4608)
				rig.FillSocket(t, g.Transport())
				g.On.EOF = func() bool { return true }
			}
		})
		looptest.Turns(l, 3)
		looptest.Do(l, func() {
			// Completions of all kinds while the loop does not look: the ends of the
			// peers' streams, and whatever becomes of the sends.
			for _, g := range conns {
				if err := g.Peer.(*net.UnixConn).CloseWrite(); err != nil {
					t.Error(err)
				}
			}
			fanOut(conns, []byte("more than there is room for"))
		})
		for _, g := range conns {
			looptest.WaitFor(t, l, "the end of file", g.GotEOF)
		}
		n := loopStats(l).Overflows
		if rings := l.Engine() == loop.Uring; rings != (n > 0) {
			t.Errorf("Stats.Overflows is %d", n)
		}
	})
}

// readBehind reads the zeros that filled the sockets, and then size bytes of stream 1
// and the end.
func readBehind(t *testing.T, conns []rig.OutsideConn, filled []int, size int) {
	var readers sync.WaitGroup
	for i, g := range conns {
		readers.Go(func() {
			if err := rig.Discard(g.Peer, filled[i]); err != nil {
				t.Errorf("connection %d: %v", i, err)
			} else if err := rig.ReadToEnd(g.Peer, size, 1); err != nil {
				t.Errorf("connection %d: %v", i, err)
			}
		})
	}
	readers.Wait()
}

// A thousand slices to each of many connections are more than one hand-over takes,
// and what describes them must stay until the kernel has read it.
func TestThousandsOfSlicesArriveExactWhileTheCollectorRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	const lines = 1000
	rounds := rig.Amount(10)
	const size = lines * 12
	ways := map[string]func(w transport.Transport, off uint64) error{
		"WriteLines": func(w transport.Transport, off uint64) error {
			return w.WriteLines(slices12(lines, off))
		},
		"WriteOwned": func(w transport.Transport, off uint64) error {
			var all error
			for _, line := range slices12(lines, off) {
				all = errors.Join(all, w.(transport.OwnedWriter).WriteOwned(line, nil))
			}
			return all
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
				conns := rig.OutsideConns(t, l, "tcp", 200)
				defer exacttest.Litter(0)()
				for r := range rounds {
					off := uint64(r * size)
					looptest.Do(l, func() {
						for _, g := range conns {
							if err := way(g.Transport(), off); err != nil {
								t.Error(err)
							}
						}
					})
					var readers sync.WaitGroup
					for i, g := range conns {
						readers.Go(func() {
							if err := rig.ReadExactly(g.Peer, size, 1, off); err != nil {
								t.Errorf("round %d, connection %d: %v", r, i, err)
							}
						})
					}
					readers.Wait()
					if t.Failed() {
						return
					}
				}
			})
		})
	}
}

// slices12 returns n slices of twelve bytes each, of stream 1 from offset off on.
func slices12(n int, off uint64) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = exacttest.Bytes(12, 1, off+uint64(12*i))
	}
	return out
}
