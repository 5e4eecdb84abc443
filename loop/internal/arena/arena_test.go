package arena

import (
	"errors"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/sluice-net/sluice/loop/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// pages is a source that counts.
type pages struct {
	sizes []int
	err   error
}

func (p *pages) get(size int) ([]byte, error) {
	if p.err != nil {
		return nil, p.err
	}
	p.sizes = append(p.sizes, size)
	return heapChunk(size), nil
}

func mustPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s did not panic", what)
		}
	}()
	f()
}

func aligned(b []byte, to uintptr) bool { return uintptr(unsafe.Pointer(&b[0]))%to == 0 }

func TestNothingIsTakenBeforeTheFirstAlloc(t *testing.T) {
	var p pages
	a := New(p.get)
	if len(p.sizes) > 0 {
		t.Error(p.sizes)
	}
	a.Alloc(1)
	if len(p.sizes) != 1 || p.sizes[0] != chunkMin {
		t.Error(p.sizes)
	}
}

func TestChunksGrowAndLargeOnesStandAlone(t *testing.T) {
	var p pages
	a := New(p.get)
	large := a.Alloc(5<<20 + 1)
	if p.sizes[0] != 5<<20+pageSize {
		t.Errorf("a chunk of %d", p.sizes[0])
	}
	for range 3 {
		a.Alloc(chunkMin)
	}
	if len(p.sizes) != 3 || p.sizes[1] != chunkMin || p.sizes[2] != 2*chunkMin {
		t.Error(p.sizes)
	}
	a.Free(large)
	again := a.Alloc(5 << 20)
	if &again[0] != &large[0] || len(p.sizes) != 3 {
		t.Error("a free chunk was not used again")
	}
	if chunks := a.Chunks(); len(chunks) != 3 || a.Index(again[10:20]) != 0 ||
		a.Index(make([]byte, 8)) != -1 {
		t.Error("wrong index")
	}
}

func TestRandomUseAgainstAModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	var p pages
	a := New(p.get)
	type held struct {
		b    []byte
		fill byte
	}
	var all []held
	total := 0
	for i := range 5000 {
		if len(all) > 0 && (r.IntN(2) == 0 || len(all) > 200) {
			j := r.IntN(len(all))
			h := all[j]
			for _, c := range h.b {
				if c != h.fill {
					t.Fatal("overwritten by another")
				}
			}
			a.Free(h.b)
			total -= len(h.b)
			all = append(all[:j], all[j+1:]...)
			continue
		}
		n := 1 + r.IntN(1<<(4+r.IntN(13)))
		h := held{a.Alloc(n), byte(i)}
		if len(h.b) != n || cap(h.b) != n || !aligned(h.b, align) {
			t.Fatalf("%d bytes of %d, capacity %d", len(h.b), n, cap(h.b))
		}
		if n >= pageSize && !aligned(h.b, pageSize) {
			t.Fatalf("%d bytes are not page-aligned", n)
		}
		for k := range h.b {
			if h.b[k] != 0 {
				t.Fatal("not zeroed")
			}
			h.b[k] = h.fill
		}
		all = append(all, h)
		if total += n; a.InUse() != total {
			t.Fatalf("%d in use, want %d", a.InUse(), total)
		}
	}
	for _, h := range all {
		a.Free(h.b)
	}
	for _, c := range a.chunks {
		if len(c.free) != 1 || c.free[0].n != len(c.mem) {
			t.Errorf("spans were not joined: %v", c.free)
		}
	}
}

func TestFreeOfWhatIsNotAllocatedPanics(t *testing.T) {
	var p pages
	a := New(p.get)
	b := a.Alloc(128)
	mustPanic(t, "foreign", func() { a.Free(make([]byte, 128)) })
	mustPanic(t, "part", func() { a.Free(b[:64]) })
	mustPanic(t, "middle", func() { a.Free(b[64:]) })
	mustPanic(t, "nil", func() { a.Free(nil) })
	mustPanic(t, "nothing", func() { a.Alloc(0) })
	a.Free(b)
	mustPanic(t, "twice", func() { a.Free(b) })
}

func TestSourceWithoutMemoryFallsBack(t *testing.T) {
	p := pages{err: errors.New("no more")}
	a := New(p.get)
	var told []error
	a.Fallback = func(err error) { told = append(told, err) }
	b := a.Alloc(100_000)
	if len(b) != 100_000 || !aligned(b, pageSize) || len(told) != 1 || told[0] != p.err {
		t.Errorf("%d bytes, told %v", len(b), told)
	}
	if a.Index(b) != -1 || len(a.Chunks()) != 0 {
		t.Error("heap memory counts as the source's")
	}
	a.Free(b)
	p.err = nil
	a.Alloc(chunkMin)
	if len(a.Chunks()) != 1 || &a.Chunks()[0][0] != &a.chunks[1].mem[0] {
		t.Error("the source was not asked again")
	}
}

func TestPoolIsLastInFirstOut(t *testing.T) {
	var s pages
	p := NewPool(New(s.get), 4096, 3)
	get := func() int {
		number, buf := p.Get()
		if len(buf) != 4096 || &buf[0] != &p.Buffer(number)[0] {
			t.Errorf("%d bytes, not of buffer %d", len(buf), number)
		}
		return number
	}
	a, b, c := get(), get(), get()
	if _, buf := p.Get(); buf != nil || p.Made() != 3 || p.Left() != 0 {
		t.Errorf("more than the largest number: %d", p.Made())
	}
	p.Put(a)
	p.Put(c)
	if p.Left() != 2 {
		t.Errorf("%d left of 2", p.Left())
	}
	if got := get(); got != c {
		t.Error("not the last one")
	}
	p.Put(c)
	p.Put(b)
	mustPanic(t, "too many", func() { p.Put(b) })
	mustPanic(t, "never made", func() { p.Get(); p.Put(3) })
	if n := testing.AllocsPerRun(100, func() { p.Put(b); p.Get() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
