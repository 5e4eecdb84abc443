package arena

// Pool is numbered buffers of one size. What was put last is got first, because it
// is still in the cache. One goroutine at a time uses it.
type Pool struct {
	arena *Arena
	size  int
	limit int
	made  [][]byte // by number
	free  []int
}

// NewPool returns a pool of at most limit buffers of size bytes from a, none of
// them allocated yet.
func NewPool(a *Arena, size, limit int) *Pool {
	return &Pool{arena: a, size: size, limit: limit}
}

// Get returns a buffer, with whatever was in it before, and its number. It returns
// nil when limit of them are out.
func (p *Pool) Get() (number int, buf []byte) {
	if n := len(p.free); n > 0 {
		number = p.free[n-1]
		p.free = p.free[:n-1]
		return number, p.made[number]
	}
	if len(p.made) == p.limit {
		return 0, nil
	}
	p.made = append(p.made, p.arena.Alloc(p.size))
	number = len(p.made) - 1
	return number, p.made[number]
}

// Put takes back what Get returned, by its number.
func (p *Pool) Put(number int) {
	if number >= len(p.made) || len(p.free) == len(p.made) {
		panic("arena: put of what is not out")
	}
	p.free = append(p.free, number)
}

// Buffer returns the buffer with that number.
func (p *Pool) Buffer(number int) []byte { return p.made[number] }

// Left returns how many more buffers Get would return.
func (p *Pool) Left() int { return p.limit - len(p.made) + len(p.free) }

// Made returns how many buffers there are, in the pool and out.
func (p *Pool) Made() int { return len(p.made) }
