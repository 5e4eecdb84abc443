package pressure

// sendCause says what holds sending back at the moment of a snapshot. It looks from
// the peer towards the application: the layer nearest to the peer that is full
// makes all those before it wait.
func sendCause(c *Conn) Cause {
	waits := c.Transport != nil && c.Transport.Buffered > 0
	if c.NotSent > 0 {
		return unsentCause(c)
	}
	switch {
	case c.sendQueueFull() && (waits || c.Transport == nil):
		return CauseSndBuf // all of it is sent, and there is no room for more
	case !waits:
		return CauseIdle
	case c.Transport.Sending > 0:
		return CauseRing // there is room, and the send is not carried out
	}
	return CauseLoop // it is not even handed over
}

// unsentCause says why the kernel does not send what it has.
func unsentCause(c *Conn) Cause {
	sent := c.OutQueue - c.NotSent
	room := c.PeerWindow - sent
	switch {
	case c.PeerWindow == 0 || c.Probes > 0 || room < min(c.NotSent, max(c.MSS, 1)):
		return CausePeer
	case sent > 0:
		return CauseNet // the congestion window, pacing, or Nagle's wait for an ACK
	}
	return CauseUnknown
}

// sendQueueFull reports whether a writer would have to wait although everything in
// the queue is sent. SOCK_NOSPACE may be left over from long ago, so there must be
// something that is not acknowledged.
func (c *Conn) sendQueueFull() bool {
	if c.OutQueue == 0 {
		return false
	}
	return c.NoSpace || c.SndBuf > 0 && c.Queued >= c.SndBuf-c.SndBuf/3
}

// receiveCause says what holds receiving back at the moment of a snapshot. starved
// says that the ring found no buffer for this connection lately.
func receiveCause(c *Conn, starved bool) Cause {
	if t := c.Transport; t != nil {
		switch {
		case t.ReadingPaused && c.unread():
			return CauseApp
		case t.Starved:
			return CauseBuffers
		}
	}
	switch {
	case c.InQueue > 0 && starved:
		return CauseBuffers
	case c.InQueue > 0 && c.Transport != nil:
		return CauseLoop // it has a receive armed and did not get round to it
	case c.InQueue > 0:
		return CauseApp // nobody reads
	case c.OutOfOrder:
		return CauseNet // what is missing is on its way, or lost
	}
	return CauseIdle
}

// unread reports whether there is something that a reader could have.
func (c *Conn) unread() bool {
	return c.InQueue > 0 || c.Transport != nil && c.Transport.HeldBytes > 0
}
