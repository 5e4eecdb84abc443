package stream

import "io"

// Read implements io.Reader: it waits for at least one byte. After everything that the
// peer sent, it returns io.EOF or the error that ended the connection.
func (c *Conn) Read(p []byte) (int, error) {
	if err := c.hub.lock(&c.readMu); err != nil {
		return 0, c.fault("read", err)
	}
	defer c.readMu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(p) == 0 {
		return 0, c.readFault(c.unusable(&c.reader))
	}
	n, err := c.await(p)
	if err != nil {
		return 0, c.readFault(err)
	}
	if n == 0 {
		n = c.in.read(p)
		c.relieve()
	}
	return n, nil
}

// WriteTo implements io.WriterTo: it writes everything received to w, up to the end of
// the stream, directly from the buffers of the Conn.
func (c *Conn) WriteTo(w io.Writer) (int64, error) {
	if err := c.hub.lock(&c.readMu); err != nil {
		return 0, c.fault("read", err)
	}
	defer c.readMu.Unlock()
	total := int64(0)
	for {
		k, err := c.receive()
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, c.readFault(err)
		}
		n, err := w.Write(k.bytes())
		if err == nil && n < k.end-k.start {
			err = io.ErrShortWrite
		}
		k.put()
		total += int64(max(n, 0))
		if err != nil {
			return total, err
		}
	}
}

// SetReadLimit sets how many bytes may be buffered ahead of Read: beyond twice the limit
// the transport pauses reading, and at the limit or below it resumes. The default is
// DefaultLimit. Error: ErrLimit for less than 1.
func (c *Conn) SetReadLimit(bytes int) error {
	if bytes < 1 {
		return c.fault("set", ErrLimit)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limit = bytes
	c.relieve()
	return nil
}

// receive waits for a chunk of what was received, and takes it.
func (c *Conn) receive() (*chunk, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := c.await(nil); err != nil {
		return nil, err
	}
	k := c.in.pop()
	c.relieve()
	return k, nil
}

// await waits until data has been received. If the data went directly into p, it returns
// how many bytes; otherwise, and always if p is nil, it returns 0 and the data is in
// c.in. Both locks are held.
func (c *Conn) await(p []byte) (int, error) {
	for {
		if err := c.unusable(&c.reader); err != nil {
			return 0, err
		}
		switch {
		case c.in.size > 0:
			return 0, nil
		case c.eof:
			return 0, io.EOF
		case c.state == lost:
			return 0, c.broken("read")
		}
		c.dst = p
		err := c.wait(&c.reader)
		c.dst = nil
		if err != nil {
			return 0, err
		}
		if n := c.direct; n > 0 {
			c.direct = 0
			return n, nil
		}
	}
}

// relieve makes a paused transport resume when few enough bytes are left. mu is held.
func (c *Conn) relieve() {
	if c.stopped && c.in.size <= c.limit && c.state == open {
		c.ask()
	}
}

// readFault makes the error of a read.
func (c *Conn) readFault(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return c.fault("read", err)
}
