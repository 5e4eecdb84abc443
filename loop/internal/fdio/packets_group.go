package fdio

import (
	"slices"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// join appends data to the group that the last datagram is, or could become. It reports
// whether that is possible: the address is the same, data is no longer than the others,
// none of them is shorter, and the chunk and the kernel have room for one more. An empty
// datagram would not be seen at the end of a group.
func (q *packets) join(data []byte, to transport.Addr) bool {
	if q.count() == 0 || len(data) == 0 || len(data) > q.segmentMax {
		return false
	}
	last := &q.list[len(q.list)-1]
	size := last.Segment
	if size == 0 {
		size = len(last.Data)
	}
	switch have := len(last.Data); {
	case have == 0 || len(data) > size || have%size != 0:
		return false
	case size > q.segmentMax || have/size == proactor.SegmentsMax:
		return false
	case have+len(data) > proactor.SegmentedMax || len(data) > cap(q.chunk)-len(q.chunk):
		return false
	case last.Addr != to:
		return false
	default:
		q.chunk = append(q.chunk, data...)
		last.Data = q.chunk[len(q.chunk)-have-len(data):]
		last.Segment = size
		return true
	}
}

// split takes the first group apart.
func (q *packets) split() {
	group, chunk := q.list[q.head], q.used[q.head]
	var parts []proactor.Packet
	for part := range slices.Chunk(group.Data, group.Segment) {
		parts = append(parts, proactor.Packet{Data: part, Addr: group.Addr})
	}
	q.list = slices.Replace(q.list, q.head, q.head+1, parts...)
	q.used = slices.Replace(q.used, q.head, q.head+1, make([][]byte, len(parts))...)
	q.used[q.head+len(parts)-1] = chunk
}

// popDatagram releases the first datagram, even if it is the first of a group, and
// returns how many bytes it counted.
func (q *packets) popDatagram(pool *ChunkPool) (size int) {
	first := &q.list[q.head]
	if first.Segment == 0 {
		return q.pop(1, pool)
	}
	size = first.Segment + q.overhead
	first.Data = first.Data[first.Segment:]
	if len(first.Data) <= first.Segment {
		first.Segment = 0
	}
	return size
}
