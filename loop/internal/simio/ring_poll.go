package simio

// edges are what a wake-up of those who poll follows: bytes, connections or datagrams
// that have come, room that somebody waited for, a change of the connection's state.
type edges struct {
	in, out int64
	state   uint16
}

// edges returns what has happened to f so far.
func (f *file) edges() edges {
	e := edges{out: f.spaces, state: f.events() & unasked}
	if f.rx != nil {
		e.in = f.rx.arrived
		if f.rx.ended {
			e.in++
		}
	}
	e.in += f.comings
	if f.err != 0 {
		e.state |= pollErr
	}
	return e
}

// makeRoom notes that there is room by now, where somebody has found none.
func (f *file) makeRoom() {
	if f.noSpace && f.events()&pollOut != 0 {
		f.noSpace = false
		f.spaces++
	}
}

// tryPoll is POLL_ADD: once, or edge-triggered multishot.
func (t *task) tryPoll() verdict {
	now := uint32(t.file.events()) & (t.asked | unasked)
	multi := t.sqe.len == pollMulti
	if t.sqe.len&^pollMulti != 0 {
		t.violate("flags %#x", t.sqe.len)
	}
	if t.polled {
		return t.polledAgain(now, multi)
	}
	switch {
	case now == 0:
	case multi:
		t.stale = now
		t.arm()
		t.enqueue()
		return over
	default:
		t.end(int32(now), 0, nil)
		return over
	}
	return blocked
}

// polledAgain is a poll that was woken: it tells what it was woken for, or what there
// is by now.
func (t *task) polledAgain(now uint32, multi bool) verdict {
	if woken := t.wokenFor(); multi {
		now = t.stale | woken // also what has come since it was woken
	} else if t.stale != 0 {
		now = t.stale
	}
	t.stale = 0
	switch {
	case now == 0:
	case !multi:
		t.end(int32(now), 0, nil)
		return over
	case !t.r.postMore(t, int32(now), 0, nil):
		t.end(int32(now), 0, nil)
		return over
	default:
		t.r.m.busy = true
	}
	t.retries = 0
	return blocked
}

// pollWoken queues a poll for which something has happened. What it then tells may be
// what it was woken for, though that is over by then.
func (t *task) pollWoken() {
	if woken := t.wokenFor(); woken != 0 {
		if t.sqe.len == pollMulti || t.r.w.net.below(2) == 0 {
			t.stale |= woken
		}
		t.enqueue()
	}
}

// wokenFor are the events that have come since this was last asked, and are still
// there.
func (t *task) wokenFor() uint32 {
	f := t.file
	seen := t.edges
	t.edges = f.edges()
	var woken uint32
	if t.edges.in != seen.in {
		woken |= pollIn
	}
	if t.edges.out != seen.out {
		woken |= pollOut
	}
	mask := t.asked | unasked
	if t.edges.state != seen.state {
		woken |= mask // the whole of it is looked at again
	}
	if t.sqe.len != pollMulti {
		woken |= mask
	}
	return woken & mask & uint32(f.events())
}
