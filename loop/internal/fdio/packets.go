package fdio

import (
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// packetsKept is the longest list of datagrams that an idle endpoint keeps.
const packetsKept = 1024

// packets is the output of a transport of datagrams or messages in order. The bytes of
// small datagrams lie one after the other in pooled chunks; none is split.
//
//	list: [ sent and popped | waiting ... ]
//	                          head
//	used: a chunk whose last datagram this was, to be given back with it
//
// If the kernel takes groups, an element of the list is a group: datagrams of one size to
// one address, the last of which may be shorter, side by side in a chunk.
type packets struct {
	list  []proactor.Packet
	used  [][]byte
	head  int
	chunk []byte // is being filled

	overhead   int // what each counts beyond its bytes
	segmentMax int // the longest datagram that may be in a group; 0: there are none
}

func (q *packets) count() int { return len(q.list) - q.head }

// waiting returns the datagrams to send. They are valid until the next push or pop.
func (q *packets) waiting() []proactor.Packet { return q.list[q.head:] }

// push appends a copy of data. held says that the last datagram must not be touched,
// because it is in flight.
func (q *packets) push(data []byte, to transport.Addr, pool *ChunkPool, held bool) {
	if q.segmentMax > 0 && !held && q.join(data, to) {
		return
	}
	var own []byte
	switch {
	case len(data) > directMin:
		own = append([]byte(nil), data...)
	case len(data) > 0:
		if cap(q.chunk)-len(q.chunk) < len(data) {
			q.change(len(data), pool)
		}
		start := len(q.chunk)
		q.chunk = append(q.chunk, data...)
		own = q.chunk[start:]
	}
	q.list = append(q.list, proactor.Packet{Data: own, Addr: to})
	q.used = append(q.used, nil)
}

// change begins a chunk with room for n bytes. The old one is given back with the
// datagram that is now the last.
func (q *packets) change(n int, pool *ChunkPool) {
	if q.chunk != nil {
		q.used[len(q.used)-1] = q.chunk
		if q.segmentMax > 0 {
			n = max(n, min(cap(q.chunk)+1, directMin)) // for longer groups
		}
	}
	q.chunk = pool.Get(n)
}

// pop releases the first n datagrams and returns how many bytes they counted.
func (q *packets) pop(n int, pool *ChunkPool) (size int) {
	for range n {
		first := &q.list[q.head]
		size += len(first.Data) + first.Count()*q.overhead
		if chunk := q.used[q.head]; chunk != nil {
			pool.Put(chunk)
		}
		q.list[q.head], q.used[q.head] = proactor.Packet{}, nil
		q.head++
	}
	if q.count() > 0 {
		q.compact()
		return size
	}
	if q.chunk != nil {
		pool.Put(q.chunk)
	}
	q.chunk, q.head = nil, 0
	q.list, q.used = q.list[:0], q.used[:0]
	if cap(q.list) > packetsKept {
		q.list, q.used = nil, nil
	}
	return size
}

// compact moves the list to the front when at least half of it is spent.
func (q *packets) compact() {
	if q.head*2 < len(q.list) {
		return
	}
	n := copy(q.list, q.list[q.head:])
	copy(q.used, q.used[q.head:])
	clear(q.list[n:])
	clear(q.used[n:])
	q.list, q.used, q.head = q.list[:n], q.used[:n], 0
}

// drop forgets everything. The chunks are left to the garbage collector, because
// the first datagram may be in flight.
func (q *packets) drop() {
	*q = packets{segmentMax: q.segmentMax, overhead: q.overhead}
}
