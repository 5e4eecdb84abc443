package stream

import "net"

// Reading reports whether a connection's transport receives.
func Reading(conn net.Conn) (reading bool) {
	c := conn.(*Conn)
	_ = c.hub.call(func() { reading = c.transport != nil && c.transport.IsReading() })
	return reading
}

// Unread is how many bytes were received and not read.
func Unread(conn net.Conn) int {
	c := conn.(*Conn)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.in.size
}

// Full reports whether a connection's transport asked to pause writing.
func Full(conn net.Conn) bool {
	c := conn.(*Conn)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.full
}

// Waits reports whether somebody waits to read, and to write.
func Waits(conn net.Conn) (reader, writer bool) {
	c := conn.(*Conn)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reader.parked, c.writer.parked
}

// Waiting is how many connections wait for Accept, and whether the loop accepts none.
func Waiting(l net.Listener) (count int, paused bool) {
	ln := l.(*Listener)
	ln.mu.Lock()
	defer ln.mu.Unlock()
	return len(ln.waiting), ln.paused
}

// Ahead is how much waits for ReadFrom.
func Ahead(p *PacketConn) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.in.load()
}

// LingerIsOver does what happens when a connection that was closed has not sent the
// rest in time. It reports whether there is a timer for that.
func LingerIsOver(conn net.Conn) bool {
	c := conn.(*Conn)
	c.mu.Lock()
	timer := c.linger
	c.mu.Unlock()
	if timer != nil {
		timer.Reset(0)
	}
	return timer != nil
}
