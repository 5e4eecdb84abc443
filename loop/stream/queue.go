package stream

import "sync"

// chunkSize is the size of the pieces that bytes wait in.
const chunkSize = 16 << 10

// chunk is a piece of memory with bytes in it. It is in one queue at most.
type chunk struct {
	next       *chunk
	buf        []byte
	start, end int    // of the bytes in it
	release    func() // put, made once
}

// chunks holds free chunks of chunkSize.
var chunks sync.Pool

func newChunk(size int) *chunk {
	k := &chunk{buf: make([]byte, size)}
	k.release = k.put
	return k
}

// getChunk returns an empty chunk for at least size bytes.
func getChunk(size int) *chunk {
	if size <= chunkSize {
		if k, ok := chunks.Get().(*chunk); ok {
			return k
		}
	}
	return newChunk(max(size, chunkSize))
}

// put ends the use of a chunk.
func (k *chunk) put() {
	k.next, k.start, k.end = nil, 0, 0
	if len(k.buf) == chunkSize {
		chunks.Put(k)
	}
}

func (k *chunk) bytes() []byte { return k.buf[k.start:k.end] }

// fill copies as much of p into what is left of the chunk as fits.
func (k *chunk) fill(p []byte) int {
	n := copy(k.buf[k.end:], p)
	k.end += n
	return n
}

// A queue holds waiting bytes, in order. The zero queue is empty and has no memory.
type queue struct {
	head, tail *chunk
	size       int
}

// write appends a copy of p.
func (q *queue) write(p []byte) {
	for len(p) > 0 {
		if q.tail == nil || q.tail.end == len(q.tail.buf) {
			q.add(getChunk(0))
		}
		n := q.tail.fill(p)
		q.size += n
		p = p[n:]
	}
}

// writeWhole appends a copy of p that lies in one chunk, and returns it.
func (q *queue) writeWhole(p []byte) []byte {
	if q.tail == nil || len(q.tail.buf)-q.tail.end < len(p) {
		q.add(getChunk(len(p)))
	}
	at := q.tail.end
	q.size += q.tail.fill(p)
	return q.tail.buf[at:q.tail.end]
}

// add appends a chunk without counting what is in it.
func (q *queue) add(k *chunk) {
	if q.tail == nil {
		q.head = k
	} else {
		q.tail.next = k
	}
	q.tail = k
}

// append moves all of other to the end of q.
func (q *queue) append(other *queue) {
	if other.head == nil {
		return
	}
	q.add(other.head)
	q.tail = other.tail
	q.size += other.size
	*other = queue{}
}

// read moves bytes into p.
func (q *queue) read(p []byte) (n int) {
	for n < len(p) && q.size > 0 {
		m := copy(p[n:], q.head.bytes())
		n += m
		q.skip(m)
	}
	return n
}

// skip drops bytes of the first chunk, and the chunk with its last.
func (q *queue) skip(n int) {
	q.head.start += n
	q.size -= n
	if q.head.start == q.head.end {
		q.pop().put()
	}
}

// pop takes the first chunk out, nil if there is none.
func (q *queue) pop() *chunk {
	k := q.head
	if k == nil {
		return nil
	}
	q.head = k.next
	if q.head == nil {
		q.tail = nil
	}
	q.size -= k.end - k.start
	k.next = nil
	return k
}

// take returns all of it and leaves the queue empty.
func (q *queue) take() queue {
	all := *q
	*q = queue{}
	return all
}

// drop forgets all of it.
func (q *queue) drop() {
	for k := q.pop(); k != nil; k = q.pop() {
		k.put()
	}
}
