// Package arena hands out pieces of few large chunks of memory, for buffers
// that the kernel is told of chunk by chunk.
package arena

import (
	"fmt"
	"sort"
	"unsafe"
)

const (
	align    = 64       // of every piece: a cache line
	pageSize = 4 << 10  // of pieces of at least that size
	chunkMin = 1 << 20  // the first chunk
	chunkMax = 16 << 20 // chunks double until this
)

// Arena is a first-fit allocator. One goroutine at a time uses it.
type Arena struct {
	// Fallback is told why the source gave no memory; the arena went on with
	// memory of the Go heap. Nil: not called.
	Fallback func(err error)

	source func(size int) ([]byte, error)
	chunks []*chunk
	count  int // of chunks from the source
	next   int // size of the next chunk
	live   map[*byte]piece
	inUse  int
}

// piece is what was handed out.
type piece struct {
	chunk *chunk
	n     int // bytes asked for
}

// chunk is memory from the source, or from the heap if that failed.
type chunk struct {
	mem     []byte
	index   int // among the chunks from the source, -1 if not one of them
	touched int // bytes from here on were never handed out and are still zero
	free    []span
}

// span is free memory. A chunk's spans are sorted and never touch.
type span struct{ off, n int }

// New returns an arena that takes chunks, zeroed and page-aligned, from source,
// of whatever size is asked for, none before the first Alloc.
func New(source func(size int) ([]byte, error)) *Arena {
	return &Arena{source: source, next: chunkMin, live: map[*byte]piece{}}
}

// Alloc returns n > 0 bytes, zeroed, aligned to 64 bytes, or to a page where n
// is at least one. It never fails but as make does.
func (a *Arena) Alloc(n int) []byte {
	if n <= 0 {
		panic(fmt.Sprintf("arena: allocation of %d bytes", n))
	}
	size := roundUp(n, align)
	for _, c := range a.chunks {
		if b := c.take(n, size); b != nil {
			return a.handOut(c, b)
		}
	}
	c := a.grow(size)
	return a.handOut(c, c.take(n, size))
}

// Free takes back what Alloc returned, whole. It panics at anything else, also
// at what was freed before.
func (a *Arena) Free(b []byte) {
	p, ok := a.live[unsafe.SliceData(b)]
	if !ok || p.n != len(b) {
		panic("arena: free of what is not an allocation")
	}
	delete(a.live, unsafe.SliceData(b))
	a.inUse -= p.n
	p.chunk.put(b)
}

// Chunks returns the chunks from the source in the order they were taken. They
// stay until the arena is dropped; the caller frees them then.
func (a *Arena) Chunks() [][]byte {
	out := make([][]byte, 0, a.count)
	for _, c := range a.chunks {
		if c.index >= 0 {
			out = append(out, c.mem)
		}
	}
	return out
}

// Index returns the position in Chunks of the chunk that b lies in, wholly, or
// -1. It does not allocate.
func (a *Arena) Index(b []byte) int {
	for _, c := range a.chunks {
		if off := c.offset(b); off >= 0 && off+len(b) <= len(c.mem) {
			return c.index
		}
	}
	return -1
}

// InUse returns the bytes handed out.
func (a *Arena) InUse() int { return a.inUse }

func (a *Arena) handOut(c *chunk, b []byte) []byte {
	a.live[&b[0]] = piece{chunk: c, n: len(b)}
	a.inUse += len(b)
	return b
}

// grow adds a chunk with room for size bytes.
func (a *Arena) grow(size int) *chunk {
	length := a.next
	if size > length {
		length = roundUp(size, pageSize)
	} else {
		a.next = min(2*a.next, chunkMax)
	}
	c := &chunk{index: a.count}
	mem, err := a.source(length)
	if err == nil {
		a.count++
	} else {
		if a.Fallback != nil {
			a.Fallback(err)
		}
		mem, c.index = heapChunk(roundUp(size, pageSize)), -1
	}
	c.mem = mem
	c.free = append(c.free, span{0, len(mem)})
	a.chunks = append(a.chunks, c)
	return c
}

// heapChunk returns page-aligned memory of the Go heap.
func heapChunk(size int) []byte {
	b := make([]byte, size+pageSize)
	off := -int(uintptr(unsafe.Pointer(&b[0]))) & (pageSize - 1)
	return b[off : off+size : off+size]
}

// take cuts n bytes, size of them used up, out of the first span that has room,
// nil if none has.
func (c *chunk) take(n, size int) []byte {
	for i := range c.free {
		s := c.free[i]
		off := s.off
		if n >= pageSize {
			off = roundUp(off, pageSize)
		}
		end := off + size
		if end > s.off+s.n {
			continue
		}
		before, after := span{s.off, off - s.off}, span{end, s.off + s.n - end}
		c.replace(i, before, after)
		b := c.mem[off : off+n : off+n]
		clear(b[:max(0, min(n, c.touched-off))])
		c.touched = max(c.touched, end)
		return b
	}
	return nil
}

// replace puts before and after, where they are not empty, in place of span i.
func (c *chunk) replace(i int, before, after span) {
	switch {
	case before.n > 0 && after.n > 0:
		c.free[i] = before
		c.insert(i+1, after)
	case before.n > 0:
		c.free[i] = before
	case after.n > 0:
		c.free[i] = after
	default:
		c.free = append(c.free[:i], c.free[i+1:]...)
	}
}

// put makes b's memory free again and joins it with its neighbours.
func (c *chunk) put(b []byte) {
	s := span{c.offset(b), roundUp(len(b), align)}
	i := sort.Search(len(c.free), func(i int) bool { return c.free[i].off > s.off })
	joined := i > 0 && c.free[i-1].off+c.free[i-1].n == s.off
	if joined {
		i--
		c.free[i].n += s.n
	} else {
		c.insert(i, s)
	}
	if i+1 < len(c.free) && c.free[i].off+c.free[i].n == c.free[i+1].off {
		c.free[i].n += c.free[i+1].n
		c.free = append(c.free[:i+1], c.free[i+2:]...)
	}
}

func (c *chunk) insert(i int, s span) {
	c.free = append(c.free, span{})
	copy(c.free[i+1:], c.free[i:])
	c.free[i] = s
}

// offset returns where b starts in c, -1 if it does not.
func (c *chunk) offset(b []byte) int {
	at := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	base := uintptr(unsafe.Pointer(&c.mem[0]))
	if at < base || at >= base+uintptr(len(c.mem)) {
		return -1
	}
	return int(at - base)
}

func roundUp(n, to int) int { return (n + to - 1) &^ (to - 1) }
