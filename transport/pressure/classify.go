package pressure

import "time"

// A scene is a connection together with whatever else in the same snapshot concerns
// it.
type scene struct {
	conn *Conn
	loop *Loop // or nil
	ring *Ring // of the loop, or nil
	at   time.Duration
}

func sceneOf(s *Snapshot, c *Conn) scene {
	v := scene{conn: c, at: s.Time}
	if c.Transport == nil || c.Transport.Loop >= len(s.Loops) {
		return v
	}
	v.loop = &s.Loops[c.Transport.Loop]
	for i := range s.Rings {
		if s.Rings[i].FD == v.loop.RingFD {
			v.ring = &s.Rings[i]
		}
	}
	return v
}

// sendCause returns what holds sending back at the moment of a snapshot. It looks
// from the peer towards the application: the full layer nearest to the peer makes
// all those before it wait.
func sendCause(v scene) Cause {
	c := v.conn
	waits := c.Transport != nil && c.Transport.Buffered > 0
	if c.NotSent > 0 {
		return unsentCause(c)
	}
	switch {
	case c.sendQueueFull() && (waits || c.Transport == nil):
		return CauseSndBuf // all of it has been sent, and there is no room for more
	case !waits:
		return CauseIdle
	case v.inTurn():
		return CauseLoop // it is not handed over until the turn ends
	case v.ring != nil && (v.ring.SQPending > 0 || v.ring.Overflowing):
		return CauseRing
	}
	// There is room and the loop is sleeping: the kernel has taken the data, and
	// the loop will account for it when it wakes.
	return CauseIdle
}

// turnMin is how long a turn must last before it counts against the loop. A thread
// that shares its CPU may be descheduled for some milliseconds in the middle of a
// short turn.
const turnMin = 10 * time.Millisecond

// inTurn reports whether the loop has been busy with one turn for so long that it
// does not get to its operations.
func (v scene) inTurn() bool {
	return v.loop != nil && v.loop.TurnStart != 0 && v.at-v.loop.TurnStart > turnMin
}

// unsentCause returns why the kernel does not send what it has.
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
// the queue has been sent. SOCK_NOSPACE may be left over from long ago, so
// something must still be unacknowledged.
func (c *Conn) sendQueueFull() bool {
	if c.OutQueue == 0 {
		return false
	}
	return c.NoSpace || c.SndBuf > 0 && c.Queued >= c.SndBuf-c.SndBuf/3
}

// lateness is what two snapshots together say about a receive queue. That it holds
// something at one moment means nothing: the data may have only just arrived.
type lateness struct {
	starved bool // the ring found no buffer for this connection in between
	stale   bool // what was unread at the first is still unread at the second
}

func latenessOf(before, now *Conn) lateness {
	read := now.BytesReceived - uint64(now.InQueue)
	return lateness{
		starved: now.Edges.NoBuffers > before.Edges.NoBuffers,
		stale:   before.InQueue > 0 && read < before.BytesReceived,
	}
}

// receiveCause returns what holds receiving back at the moment of a snapshot.
func receiveCause(v scene, late lateness) Cause {
	c := v.conn
	if t := c.Transport; t != nil {
		switch {
		case t.ReadingPaused && c.unread():
			return CauseApp
		case t.Starved:
			return CauseBuffers
		}
	}
	switch {
	case c.InQueue > 0 && late.starved:
		return CauseBuffers
	case c.InQueue > 0:
		return unreadCause(v, late)
	case c.OutOfOrder:
		return CauseNet // the missing segment is on its way, or lost
	}
	return CauseIdle
}

// unreadCause returns why data that has arrived is not being read, by a reader that
// has not paused.
func unreadCause(v scene, late lateness) Cause {
	full := v.conn.RcvBuf > 0 && v.conn.Rmem >= v.conn.RcvBuf/2
	switch {
	case v.conn.Transport == nil && (late.stale || full):
		return CauseApp // nobody reads, or not fast enough
	case v.conn.Transport == nil:
		return CauseIdle // it has only just arrived
	case v.ring != nil && v.ring.Overflowing:
		return CauseRing
	case v.inTurn(), full:
		return CauseLoop // it does not get around to it
	case late.stale:
		return CauseRing // the loop is sleeping, so it was not notified
	}
	return CauseIdle // the loop is about to wake
}

// unread reports whether there is data for a reader.
func (c *Conn) unread() bool {
	return c.InQueue > 0 || c.Transport != nil && c.Transport.HeldBytes > 0
}
