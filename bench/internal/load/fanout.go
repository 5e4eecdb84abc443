package load

// A fanner asks for one message to all connections, and for the next when the last
// connection has it whole, so that messages do not pile up. It asks on one
// connection after the other, by a byte.
//
// A message's time is counted from when it was asked for, on each connection.
type fanner struct {
	*Pool
	size  int64
	due   int64 // bytes that each connection has when this message is there
	left  int   // connections that do not
	asks  int   // the connection on which to ask next
	asked int64 // when this message was
}

func newFanner(p *Pool) *fanner { return &fanner{Pool: p, size: int64(p.opts.Size)} }

func (f *fanner) start(now int64) { f.ask(now) }

func (f *fanner) pace(now int64) {
	if f.left == 0 && f.mayStart(now) {
		f.ask(now)
	}
}

func (f *fanner) finished(now int64) bool { return f.left == 0 && !f.mayStart(now) }

// ask asks for the next message.
func (f *fanner) ask(now int64) {
	c := &f.conns[f.asks]
	f.asks = (f.asks + 1) % len(f.conns)
	f.due += f.size
	f.left, f.asked = len(f.conns), now
	c.owed++
	f.check(f.flush(c))
}

// arrived takes what came on the connection: at most this message.
func (f *fanner) arrived(c *conn, data []byte) error {
	if c.received+int64(len(data)) > f.due {
		return c.excess(f.due)
	}
	if err := c.compare(data); err != nil {
		return err
	}
	f.worked = true
	if c.received += int64(len(data)); c.received < f.due {
		return nil
	}
	f.left--
	f.out.Messages++
	f.out.Bytes += f.size
	if f.slice.Latency != nil {
		f.slice.Latency.RecordValue(f.now() - f.asked)
	}
	return nil
}
