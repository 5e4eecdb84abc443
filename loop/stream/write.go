package stream

// Write implements io.Writer. p is copied. Write waits while the transport has more
// buffered than its high mark. With an error it returns how many bytes were accepted
// before it; those are sent.
func (c *Conn) Write(p []byte) (int, error) {
	if err := c.hub.lock(&c.writeMu); err != nil {
		return 0, c.fault("write", err)
	}
	defer c.writeMu.Unlock()
	total := 0
	for {
		room, err := c.room(len(p) > 0)
		if err != nil {
			return total, c.fault("write", err)
		}
		n := min(room, len(p))
		var copied queue
		copied.write(p[:n]) // without the lock, which the loop may want
		if err := c.put(&copied); err != nil {
			return total, c.fault("write", err)
		}
		total += n
		p = p[n:]
		if len(p) == 0 {
			return total, nil
		}
	}
}

// room waits until something may be written, and returns how many bytes.
func (c *Conn) room(wait bool) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		room := writeAhead - c.out.size
		err := c.writable()
		switch {
		case err != nil:
			return 0, err
		case !wait || !c.full && room > 0:
			return room, nil
		}
		if err := c.wait(&c.writer); err != nil {
			return 0, err
		}
	}
}

// put queues what was written.
func (c *Conn) put(p *queue) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.writable(); err != nil {
		p.drop()
		return err
	}
	if p.size > 0 {
		c.out.append(p)
		c.ask()
	}
	return nil
}
