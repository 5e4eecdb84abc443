package fdio

import (
	"unsafe"

	"github.com/sluice-net/sluice/loop/internal/debug"
	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// A send carries at most sendMax bytes, so that a large queue shows progress
// and can be resumed at its low mark before all of it is gone.
const sendMax = 1 << 20

// Chunks beyond directMin are not copied into pooled memory piece by piece but
// allocated whole.
const directMin = 64 << 10

// chunk is a part of the output: pooled, allocated, lent, or the user's.
type chunk struct {
	buf     []byte  // what is left to send
	base    *byte   // where the pooled slice begins that buf is a part of, or nil
	room    uint32  // the capacity of that slice
	loan    loan    // of the receive buffer that buf lies in, or 0
	release func()  // the user's, called once the kernel has let go of buf
	direct  *direct // what no operation can send, or nil
}

// free gives back what the chunk has from the pool.
func (c *chunk) free(pool *ChunkPool) {
	if c.base != nil {
		pool.Put(unsafe.Slice(c.base, c.room)[:0])
	}
	if c.loan != 0 {
		pool.repay(c.loan)
	}
}

// hold makes the chunk a copy of p, from the pool or allocated.
func (c *chunk) hold(p []byte, pool *ChunkPool) {
	if len(p) > directMin {
		c.buf = append([]byte(nil), p...)
		return
	}
	c.use(pool.Get(len(p)))
	c.buf = append(c.buf, p...)
}

// use makes the chunk a pooled one, which is still empty.
func (c *chunk) use(base []byte) {
	c.buf, c.base, c.room = base, unsafe.SliceData(base), uint32(cap(base))
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
	direct int32 // how many chunks are direct
	lent   int32 // how many chunks are lent
}

func (q *queue) empty() bool { return q.head == len(q.chunks) }

// copyIn appends a copy of p.
func (q *queue) copyIn(p []byte, pool *ChunkPool) {
	for len(p) > 0 {
		tail := q.tail()
		if tail == nil {
			if len(p) > directMin {
				q.add(chunk{}, pool).hold(p, pool)
				return
			}
			size := len(p)
			if !q.empty() {
				size = max(size, chunkMore)
			}
			tail = q.add(chunk{}, pool)
			tail.use(pool.Get(size))
		}
		room := cap(tail.buf) - len(tail.buf)
		n := min(room, len(p))
		tail.buf = append(tail.buf, p[:n]...)
		p = p[n:]
	}
}

// add appends a chunk as it is.
func (q *queue) add(c chunk, pool *ChunkPool) *chunk {
	if q.chunks == nil {
		q.chunks = pool.list()
	}
	q.chunks = append(q.chunks, c)
	if c.direct != nil {
		q.direct++
	}
	if c.loan != 0 {
		q.lent++
	}
	return &q.chunks[len(q.chunks)-1]
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
func (q *queue) own(p []byte, release func(), pool *ChunkPool) {
	q.add(chunk{buf: p, release: release}, pool)
}

// borrow appends p itself, which lies in a receive buffer.
func (q *queue) borrow(p []byte, of loan, pool *ChunkPool) {
	q.add(chunk{buf: p, loan: of}, pool)
}

// borrows reports whether a chunk in flight is lent.
func (q *queue) borrows() bool {
	if q.lent == 0 {
		return false
	}
	for _, c := range q.chunks[q.head : q.head+q.flying] {
		if c.loan != 0 {
			return true
		}
	}
	return false
}

// copyLent copies what is lent and not in flight, and gives the buffers back.
func (q *queue) copyLent(pool *ChunkPool) {
	for i := q.head + q.flying; q.lent > 0 && i < len(q.chunks); i++ {
		c := &q.chunks[i]
		if of := c.loan; of != 0 {
			c.loan = 0
			c.hold(c.buf, pool)
			pool.repay(of)
			q.lent--
		}
	}
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
	q.compact(pool)
	return due
}

// compact moves the chunks to the front when at least half of the slice is
// spent, so that a queue that never runs empty does not grow. An empty queue needs no
// slice: most connections are idle.
func (q *queue) compact(pool *ChunkPool) {
	if q.head*2 < len(q.chunks) {
		return
	}
	if q.empty() {
		q.empties(pool)
		return
	}
	n := copy(q.chunks, q.chunks[q.head:])
	clear(q.chunks[n:])
	q.chunks, q.head = q.chunks[:n], 0
}

// pop releases the first chunk.
func (q *queue) pop(pool *ChunkPool, due []func()) []func() {
	due = q.vacate(&q.chunks[q.head], pool, due)
	q.head++
	return due
}

// vacate releases what a chunk holds.
func (q *queue) vacate(c *chunk, pool *ChunkPool, due []func()) []func() {
	c.free(pool)
	if c.release != nil {
		due = append(due, c.release)
	}
	if c.direct != nil {
		q.direct--
	}
	if c.loan != 0 {
		q.lent--
	}
	*c = chunk{}
	return due
}

// drop releases everything except the chunks in flight.
func (q *queue) drop(pool *ChunkPool, due []func()) []func() {
	first := q.head + q.flying
	for i := first; i < len(q.chunks); i++ {
		due = q.vacate(&q.chunks[i], pool, due)
	}
	q.chunks = q.chunks[:first]
	return due
}

// land releases everything, because nothing is in flight any more.
func (q *queue) land(pool *ChunkPool, due []func()) []func() {
	q.flying = 0
	due = q.drop(pool, due)
	q.empties(pool)
	return due
}

// empties gives back the slice of an empty queue, whose chunks have been vacated.
func (q *queue) empties(pool *ChunkPool) {
	pool.putList(q.chunks)
	q.chunks, q.head = nil, 0
}
