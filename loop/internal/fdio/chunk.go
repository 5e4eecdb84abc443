package fdio

// The sizes of pooled output chunks. A connection that echoes small messages, or is one
// of many thousands that get one, needs the smallest; anything larger than the largest is
// allocated as needed.
var chunkSizes = [...]int{512, 4 << 10, 16 << 10, 64 << 10}

// chunkMore is the smallest chunk for output that queues behind other output, so that
// many small writes in a row need few chunks.
const chunkMore = 4 << 10

// freeMax limits the free chunks that the pool keeps, in bytes for each size.
const freeMax = 8 << 20

// ChunkPool keeps the output buffers of one loop. The last one put back is the
// first handed out, so that few connections stay within the cache. It also lends
// receive buffers to the output.
type ChunkPool struct {
	lender
	free  [len(chunkSizes)][][]byte
	lists [][]chunk // of queues that are empty
}

// listsMax and listMax limit how many such lists the pool keeps, and how long ones.
const (
	listsMax = 1 << 10
	listMax  = 64
)

// list returns an empty list, for a queue that will have a chunk.
func (p *ChunkPool) list() []chunk {
	n := len(p.lists)
	if n == 0 {
		return nil
	}
	list := p.lists[n-1]
	p.lists[n-1] = nil
	p.lists = p.lists[:n-1]
	return list
}

// putList takes back a list, which has no chunks any more.
func (p *ChunkPool) putList(list []chunk) {
	if cap(list) > 0 && cap(list) <= listMax && len(p.lists) < listsMax {
		p.lists = append(p.lists, list[:0])
	}
}

// Get returns an empty slice with room for n bytes, or for a part of them if n
// is larger than the largest chunk.
func (p *ChunkPool) Get(n int) []byte {
	class := len(chunkSizes) - 1
	for i, size := range chunkSizes {
		if n <= size {
			class = i
			break
		}
	}
	list := p.free[class]
	if len(list) == 0 {
		return make([]byte, 0, chunkSizes[class])
	}
	b := list[len(list)-1]
	list[len(list)-1] = nil
	p.free[class] = list[:len(list)-1]
	return b[:0]
}

// Put takes back what Get returned.
func (p *ChunkPool) Put(b []byte) {
	for i, size := range chunkSizes {
		if cap(b) == size && len(p.free[i])*size < freeMax {
			p.free[i] = append(p.free[i], b)
		}
	}
}
