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
	"github.com/sluice-net/sluice/transport/transporttest"
)

// TestNoByteIsLostOrDoubledWhateverTheKernelDoes relays both ways over connections that the
// kernel breaks, delays and cuts in every way it may, with two pipes for four directions,
// while somebody pauses, closes and gives up at random: what arrives is the beginning of
// what was sent, an end comes after all of it, and every relay ends.
func TestNoByteIsLostOrDoubledWhateverTheKernelDoes(t *testing.T) {
	for seed := range uint64(rig.Amount(100)) {
		for i, k := range kinds {
			if i >= 3 && seed%4 > 0 {
				continue // TLS takes long
			}
			t.Run(fmt.Sprint(seed, " ", k[0], " ", k[1]), func(t *testing.T) {
				n := looptest.New(t, looptest.Options{Seed: seed, Ring: seed%3 == 1,
					Epoll: seed%3 == 2, Loop: loop.Options{RelayPipes: 2}})
				relayAtRandom(t, n, k, seed)
			})
		}
	}
}

// relayAtRandom is one run: two chains.
func relayAtRandom(t *testing.T, n *looptest.Network, k [2]string, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 11))
	runs := []*run{newRun(t, n, k, random), newRun(t, n, k, random)}
	looptest.Do(n.Loop, func() {
		n.SetFaults(looptest.RandomFaults(seed))
		for _, r := range runs {
			r.start()
		}
	})
	for _, r := range runs {
		r.waitEnded()
		r.hears(r.left)
		r.hears(r.right)
	}
	looptest.Turns(n.Loop, 20)
	for _, r := range runs {
		r.verify()
	}
}

// A run is a chain, and what happens to it.
type run struct {
	*chain
	net      *looptest.Network
	random   *rand.Rand
	whole    bool // an end means that everything was passed on: no other can be cut short
	sizes    [2]int
	counts   loop.RelayCounts
	cancel   context.CancelFunc
	deadline context.Context
}

func newRun(t *testing.T, n *looptest.Network, k [2]string, random *rand.Rand) *run {
	r := &run{chain: connect(t, n.Loop, k[0], k[1]), net: n, random: random,
		whole: k == [2]string{"tcp", "tcp"}}
	r.deadline, r.cancel = context.WithCancel(t.Context())
	for i := range r.sizes {
		r.sizes[i] = random.IntN(1 + random.IntN(400_000))
	}
	return r
}

// start relays, sends both ways and lets things happen.
func (r *run) start() {
	o := loop.RelayOptions{IdleTimeout: 30 * time.Second, Counts: &r.counts}
	if r.random.IntN(2) == 0 {
		o.Buffer = 1 + r.random.IntN(200_000)
	}
	if r.random.IntN(8) == 0 {
		o.MaxBytes = 1 + r.random.Int64N(200_000)
	}
	r.a.Transport().PauseReading() // or their protocols would get the first bytes
	r.b.Transport().PauseReading()
	most := 1 + r.random.IntN(100_000)
	send(r.left, 1, r.sizes[0], sizesOf(r.random.Uint64(), most), true)
	r.later(func() {
		if r.relay(r.deadline, o); r.ended { // at once
			r.whole = false
			r.a.Transport().Abort()
			r.b.Transport().Abort()
		}
	})
	r.later(func() {
		if !r.right.Transport().IsClosing() {
			send(r.right, 2, r.sizes[1], sizesOf(r.random.Uint64(), most), true)
		}
	})
	for range r.random.IntN(4) {
		r.disturb()
	}
}

// later runs f at a random time.
func (r *run) later(f func()) {
	r.net.CallLater(time.Duration(r.random.IntN(30_000))*time.Microsecond, f)
}

// disturb does something at a random time.
func (r *run) disturb() {
	outer := [2]*transporttest.Recorder{r.left, r.right}[r.random.IntN(2)].Transport()
	inner := [2]*transporttest.Recorder{r.a, r.b}[r.random.IntN(2)].Transport()
	switch r.random.IntN(12) {
	default:
		r.later(func() {
			outer.PauseReading()
			r.later(outer.ResumeReading)
		})
	case 0:
		r.later(r.cancel)
	case 1:
		r.later(func() { looptest.Reset(r.l, outer) })
	case 2:
		r.whole = false
		r.later(func() { inner.Close() })
	case 3:
		r.whole = false
		r.later(inner.Abort)
	case 4:
		r.whole = false
		r.later(outer.Abort)
	}
}

// verify compares what arrived with what was sent.
func (r *run) verify() {
	r.received("right", r.right, r.left, 1, r.sizes[0], r.n.AToB)
	r.received("left", r.left, r.right, 2, r.sizes[1], r.n.BToA)
	if now := r.counts.Now(); now != r.n {
		r.t.Errorf("counted %+v, and at the end %+v", now, r.n)
	}
}

// received checks what one outer end has received. If the sender was closed by its loop, for
// example because the kernel was short of memory, its peer has seen an orderly end.
func (r *run) received(who string, end, from *transporttest.Recorder, key uint64, size int,
	passed int64) {
	data := end.Data()
	if err := exacttest.Check(data, key, 0); err != nil || int64(len(data)) > passed {
		r.t.Errorf("the %s end received %d of %d bytes, %d were passed on: %v",
			who, len(data), size, passed, err)
	}
	_, err := from.Lost()
	short := err != nil && !errors.Is(err, syscall.ECONNRESET) &&
		!errors.Is(err, syscall.ETIMEDOUT) && !errors.Is(err, syscall.EPIPE)
	// A write may be told of a reset; then the receive finds an end, before the loss.
	_, lost := end.Lost()
	if r.whole && !short && lost == nil && end.GotEOF() && len(data) != size {
		r.t.Errorf("the %s end got an end after %d of %d bytes; the relay ended with %v",
			who, len(data), size, r.err)
	}
}
