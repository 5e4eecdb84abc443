package arena

// Pool is buffers of one size. What was put last is got first, because it is
// still in the cache. One goroutine at a time uses it.
type Pool struct {
	arena *Arena
	size  int
	limit int
	made  int
	free  [][]byte
}

// NewPool returns a pool of at most limit buffers of size bytes from a, none of
// them allocated yet.
func NewPool(a *Arena, size, limit int) *Pool {
	return &Pool{arena: a, size: size, limit: limit}
}

// Get returns a buffer, with whatever was in it before, or nil when limit of them
// are out.
func (p *Pool) Get() []byte {
	if n := len(p.free); n > 0 {
		b := p.free[n-1]
		p.free = p.free[:n-1]
		return b
	}
	if p.made == p.limit {
		return nil
	}
	p.made++
	return p.arena.Alloc(p.size)
}

// Put takes back what Get returned, whole.
func (p *Pool) Put(b []byte) {
	if len(b) != p.size || len(p.free) == p.made {
		panic("arena: put of what is not out")
	}
	p.free = append(p.free, b)
}

// Made returns how many buffers there are, in the pool and out.
func (p *Pool) Made() int { return p.made }
