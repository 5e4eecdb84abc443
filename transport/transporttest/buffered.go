package transporttest

// buffered adapts a Recorder to protocol.BufferedProtocol.
type buffered struct{ *Recorder }

// GetBuffer implements protocol.BufferedProtocol.
func (b *buffered) GetBuffer(hint int) (buf []byte) {
	r := b.Recorder
	r.mu.Lock()
	r.checkReceives("GetBuffer")
	leave := r.enter(Event{Name: "get", N: hint})
	defer func() {
		r.mu.Lock()
		r.lent = buf
		r.mu.Unlock()
		leave()
	}()
	if r.On.Get != nil {
		return r.On.Get(hint)
	}
	return r.own
}

// BufferUpdated implements protocol.BufferedProtocol.
func (b *buffered) BufferUpdated(n int) {
	r := b.Recorder
	r.mu.Lock()
	r.checkReceives("BufferUpdated")
	r.check(r.lent != nil, "I5: BufferUpdated without GetBuffer")
	r.check(n > 0 && n <= len(r.lent), "I5: BufferUpdated beyond the buffer")
	if n > 0 && n <= len(r.lent) {
		r.data = append(r.data, r.lent[:n]...)
	}
	r.lent = nil
	defer r.enter(Event{Name: "updated", N: n})()
	if r.On.Updated != nil {
		r.On.Updated(n)
	}
}
