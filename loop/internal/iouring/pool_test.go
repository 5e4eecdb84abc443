package iouring

import (
	"testing"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// pass lets n buffers be filled with size bytes and given back.
func pass(p *pool, n, size int) {
	for i := range n {
		p.giveBack(uint16(i%p.circulating), size)
	}
}

func TestSmallMessagesMayHaveManyBuffersAndLargeOnesFew(t *testing.T) {
	e, _, _ := lazyRig(t)
	p := &e.pool
	if p.circulating != 16 {
		t.Fatalf("%d buffers at first", p.circulating)
	}
	pass(p, 200, 64)
	p.grow(p.wanted() - p.circulating)
	if p.circulating != 256 {
		t.Errorf("%d buffers for messages of 64 bytes", p.circulating)
	}
	pass(p, 2000, 64<<10)
	if p.circulating != 16 {
		t.Errorf("%d buffers for messages of 64 KiB", p.circulating)
	}
	if got := p.circulating + len(p.spare); got != 256 {
		t.Errorf("%d buffers in all", got)
	}
	pass(p, 200, 16<<10)
	if n := p.wanted(); n < 56 || n > 72 {
		t.Errorf("%d buffers wanted for messages of 16 KiB", n)
	}
}

func TestBuffersStayWithinTheOptions(t *testing.T) {
	p := &pool{countMin: 4, countMax: 8}
	for _, usual := range []int{0, 16 * 64, 16 * 64 << 10, 16 * 1 << 20} {
		p.usual = usual
		if n := p.wanted(); n < 4 || n > 8 {
			t.Errorf("%d buffers wanted, usual message %d", n, usual/16)
		}
	}
	if c := (proactor.Config{}).WithDefaults(); c.BuffersMin != 16 || c.BuffersMax != 256 {
		t.Errorf("defaults %+v", c)
	}
}

// Buffers that are kept are replaced as long as there are spare ones, and none is lost.
func TestKeptBuffersAreReplacedAndComeBack(t *testing.T) {
	e, _, _ := lazyRig(t)
	p := &e.pool
	all := func() int { return p.circulating + p.kept + len(p.spare) }
	for _, n := range []int{1, 16, 128} {
		for i := range n {
			if !p.keepable() {
				t.Fatalf("no more than %d of 256 buffers can be kept", i)
			}
			p.inKernel-- // the kernel has taken one
			p.keep(64)
		}
		if p.circulating != 16 || p.kept != n || all() != 256 {
			t.Errorf("%d kept: %d circulate, %d of 256 in all", n, p.circulating, all())
		}
		for id := range n {
			p.repaid(uint16(id))
		}
		if p.circulating != 16 || p.kept != 0 || p.inKernel != 16 || all() != 256 {
			t.Errorf("%d repaid: %d circulate, %d with the kernel, %d of 256 in all", n,
				p.circulating, p.inKernel, all())
		}
	}
	p.kept = 128
	if p.keepable() {
		t.Error("more than half of the buffers can be kept")
	}
	p.kept = 0
}
