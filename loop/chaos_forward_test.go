package loop

// forwards reports whether protocols pass on what they receive in this run. The others
// are what they were before any did, so that the seeds of TestChaosRegressions still
// find what they found.
func (c *chaos) forwards() bool {
	switch c.seed % 16 {
	case 4, 8, 9, 10, 13, 14:
		return true
	}
	return false
}

// large returns how much to write so that it is worth passing on.
func (c *chaos) large() int {
	n := 6<<10 + c.random.IntN(30<<10)
	if n > c.bytes {
		return 1
	}
	c.bytes -= n
	return n
}

// forward writes parts of what was received, from the memory that it was received in:
// back to e, or to other ends. Before each write the part becomes what the reader
// expects. It returns a part that was not written and may still be changed.
func (c *chaos) forward(e *chaosEnd, data []byte) (rest []byte) {
	for c.forwards() && !c.calm && !c.over && len(data) > 0 && !c.chance(4) {
		to := e
		if to == nil || c.chance(3) {
			to = c.anyEnd()
		}
		n := len(data)
		if c.chance(3) {
			n = 1 + c.random.IntN(n)
		}
		if to == nil || n > c.bytes {
			break
		}
		c.bytes -= n
		to.forward(data[:n])
		data = data[n:]
	}
	return data
}

// forward writes b, which another end may have received.
func (e *chaosEnd) forward(b []byte) {
	e.out.fill(b, e.out.sent)
	want := e.accept(len(b))
	if e.c.chance(3) {
		k := e.c.random.IntN(1 + len(b))
		e.within("WriteLines", func() {
			e.answered("WriteLines", e.tr.WriteLines([][]byte{b[:k], b[k:]}), want)
		})
		return
	}
	e.within("Write", func() {
		k, err := e.tr.Write(b)
		e.answered("Write", err, want)
		if err == nil && k != len(b) || err != nil && k != 0 {
			e.fail("Write took %d of %d, %v", k, len(b), err)
		}
	})
}
