package tlsio

// chunk is a part of the waiting plaintext: a copy, a slice of the user's, or a
// source.
type chunk struct {
	buf     []byte // what is left to encrypt
	base    []byte // the host's buffer that buf is a part of, or nil
	release func() // the user's, called once buf is no longer read
	source  *sourcing
}

// backlog is the plaintext that waits for the transport below, in order.
type backlog struct {
	chunks []chunk
	size   int
}

// copyIn appends a copy of p.
func (b *backlog) copyIn(p []byte, host Host) {
	b.size += len(p)
	for len(p) > 0 {
		tail := b.tail()
		if tail == nil {
			base := host.Buffer(len(p))
			b.chunks = append(b.chunks, chunk{buf: base, base: base})
			tail = &b.chunks[len(b.chunks)-1]
		}
		n := min(cap(tail.buf)-len(tail.buf), len(p))
		tail.buf = append(tail.buf, p[:n]...)
		p = p[n:]
	}
}

// tail returns the last chunk if bytes may be appended to it.
func (b *backlog) tail() *chunk {
	if len(b.chunks) == 0 {
		return nil
	}
	c := &b.chunks[len(b.chunks)-1]
	if c.base == nil || len(c.buf) == cap(c.buf) {
		return nil
	}
	return c
}

// own appends p itself.
func (b *backlog) own(p []byte, release func()) {
	b.size += len(p)
	b.chunks = append(b.chunks, chunk{buf: p, release: release})
}

// took removes the first n bytes, which belong to one chunk, appends the release
// functions that are due to due, and returns it.
func (b *backlog) took(n int, host Host, due []func()) []func() {
	c := &b.chunks[0]
	c.buf = c.buf[n:]
	b.size -= n
	if len(c.buf) > 0 {
		return due
	}
	return b.pop(host, due)
}

// empty reports whether nothing waits. A source that has no bytes yet counts as
// waiting.
func (b *backlog) empty() bool { return len(b.chunks) == 0 }

// pop releases the first chunk.
func (b *backlog) pop(host Host, due []func()) []func() {
	due = b.chunks[0].let(host, due)
	b.chunks = b.chunks[1:]
	if len(b.chunks) == 0 {
		b.chunks = nil
	}
	return due
}

// let releases a chunk.
func (c *chunk) let(host Host, due []func()) []func() {
	if c.base != nil {
		host.Free(c.base)
	}
	if c.release != nil {
		due = append(due, c.release)
	}
	*c = chunk{}
	return due
}

// drop releases everything.
func (b *backlog) drop(host Host, due []func()) []func() {
	for i := range b.chunks {
		due = b.chunks[i].let(host, due)
	}
	*b = backlog{}
	return due
}
