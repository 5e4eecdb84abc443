package fdio

import (
	"github.com/sluice-net/sluice/loop/internal/debug"
	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// A send carries at most sendMax bytes, so that a large queue shows progress
// and can be resumed at its low mark before all of it is gone.
const sendMax = 1 << 20

// Chunks beyond directMin are not copied into pooled memory piece by piece but
// allocated whole.
const directMin = 64 << 10

// chunk is a part of the output: pooled, allocated, or the user's.
type chunk struct {
	buf     []byte  // what is left to send
	base    []byte  // the pooled slice that buf is a part of, or nil
	release func()  // the user's, called once the kernel has let go of buf
	direct  *direct // what no operation can send, or nil
}

// A queue is the output of a stream, in order. The first chunks may be in flight; nothing
// is appended to those.
//
//	chunks: [ sent and popped | flying ... | waiting ... | appended to ]
//	                            head         head+flying
type queue struct {
	chunks []chunk
	head   int
	flying int
	direct int // how many chunks are direct
}

func (q *queue) empty() bool { return q.head == len(q.chunks) }

// copyIn appends a copy of p.
func (q *queue) copyIn(p []byte, pool *ChunkPool) {
	for len(p) > 0 {
		tail := q.tail()
		if tail == nil {
			if len(p) > directMin {
				q.chunks = append(q.chunks, chunk{buf: append([]byte(nil), p...)})
				return
			}
			size := len(p)
			if !q.empty() {
				size = max(size, chunkMore)
			}
			base := pool.Get(size)
			q.chunks = append(q.chunks, chunk{buf: base, base: base})
			tail = &q.chunks[len(q.chunks)-1]
		}
		room := cap(tail.buf) - len(tail.buf)
		n := min(room, len(p))
		tail.buf = append(tail.buf, p[:n]...)
		p = p[n:]
	}
}

// tail returns the last chunk if bytes may be appended to it.
func (q *queue) tail() *chunk {
	last := len(q.chunks) - 1
	if last < q.head+q.flying {
		return nil
	}
	c := &q.chunks[last]
	if c.base == nil || len(c.buf) == cap(c.buf) {
		return nil
	}
	return c
}

// own appends p itself.
func (q *queue) own(p []byte, release func()) {
	q.chunks = append(q.chunks, chunk{buf: p, release: release})
}

// gather appends to bufs what the next send should carry, up to the first chunk that has
// to be sent directly.
func (q *queue) gather(bufs [][]byte) [][]byte {
	size := 0
	for i := q.head; i < len(q.chunks) && len(bufs) < proactor.IOVMax; i++ {
		if q.chunks[i].direct != nil {
			break
		}
		buf := q.chunks[i].buf
		if size+len(buf) > sendMax {
			buf = buf[:sendMax-size]
		}
		if len(buf) == 0 {
			break
		}
		bufs = append(bufs, buf)
		size += len(buf)
	}
	return bufs
}

// sent removes the first n bytes and returns the release functions that are
// due, appended to due.
func (q *queue) sent(n int, pool *ChunkPool, due []func()) []func() {
	for n > 0 {
		c := &q.chunks[q.head]
		k := min(n, len(c.buf))
		c.buf = c.buf[k:]
		n -= k
		if len(c.buf) == 0 {
			due = q.pop(pool, due)
		}
	}
	debug.Assert(q.head <= len(q.chunks), "write queue within bounds")
	q.compact()
	return due
}

// compact moves the chunks to the front when at least half of the slice is
// spent, so that a queue that never runs empty does not grow.
func (q *queue) compact() {
	if q.head*2 < len(q.chunks) {
		return
	}
	n := copy(q.chunks, q.chunks[q.head:])
	clear(q.chunks[n:])
	q.chunks, q.head = q.chunks[:n], 0
}

// pop releases the first chunk.
func (q *queue) pop(pool *ChunkPool, due []func()) []func() {
	c := &q.chunks[q.head]
	if c.base != nil {
		pool.Put(c.base)
	}
	if c.release != nil {
		due = append(due, c.release)
	}
	if c.direct != nil {
		q.direct--
	}
	*c = chunk{}
	q.head++
	return due
}

// drop releases everything except the chunks in flight.
func (q *queue) drop(pool *ChunkPool, due []func()) []func() {
	first := q.head + q.flying
	for i := first; i < len(q.chunks); i++ {
		c := q.chunks[i]
		if c.base != nil {
			pool.Put(c.base)
		}
		if c.release != nil {
			due = append(due, c.release)
		}
		if c.direct != nil {
			q.direct--
		}
		q.chunks[i] = chunk{}
	}
	q.chunks = q.chunks[:first]
	return due
}

// land releases everything, because nothing is in flight any more.
func (q *queue) land(pool *ChunkPool, due []func()) []func() {
	q.flying = 0
	due = q.drop(pool, due)
	q.chunks, q.head = nil, 0
	return due
}
