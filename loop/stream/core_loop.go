package stream

import "github.com/sluice-net/sluice/loop"

// The part of the core that passes work between the goroutines that read and write, and
// the loop's.

// wait waits as a reader or a writer. The caller must check again everything that it
// depends on. Error: loop.ErrOnLoop. mu is held.
func (c *core[T]) wait(h *half) error {
	if c.hub.onLoop() {
		return loop.ErrOnLoop
	}
	h.wait()
	return nil
}

// ask makes the loop call serve on its goroutine. mu is held.
func (c *core[T]) ask() {
	if !c.asked {
		c.asked = true
		c.hub.ask(c.self)
	}
}

// serve implements member.
func (c *core[T]) serve() {
	c.mu.Lock()
	c.asked = false
	c.mu.Unlock()
	c.self.work()
}

// received wakes the reader, because there is more to read, and pauses reading if that is
// too much. It is called with mu held and releases it.
func (c *core[T]) received(tooMuch bool) {
	pause := tooMuch && !c.stopped
	c.stopped = c.stopped || pause
	woke := c.reader.wake()
	c.mu.Unlock()
	if pause {
		c.transport.PauseReading()
	}
	if woke {
		c.hub.yieldSoon()
	}
}

// resumes reports whether reading is paused and must resume, as little is left to read.
// The caller does it after it has released mu.
func (c *core[T]) resumes(little bool) bool {
	resume := c.stopped && little
	c.stopped = c.stopped && !resume
	return resume
}

// pauseWriting makes writers wait.
func (c *core[T]) pauseWriting() {
	c.mu.Lock()
	c.full = true
	c.mu.Unlock()
}

// resumeWriting lets writers go on.
func (c *core[T]) resumeWriting() {
	c.mu.Lock()
	c.full = false
	c.mu.Unlock()
	c.self.work()
}

// sent wakes the writer, because there is room again. It is called with mu held and
// releases it.
func (c *core[T]) sent() {
	woke := !c.full && c.writer.wake()
	c.mu.Unlock()
	if woke {
		c.hub.yieldSoon()
	}
}
