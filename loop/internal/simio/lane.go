package simio

import "time"

// lane is one direction of a connection, or a pipe. Bytes keep their order.
//
//	writer --put--> out --transmit--> (under way) --arrive--> in --take--> reader
//
// A local lane (pipes, Unix sockets) has no way between: put goes to in.
//
//	open --shut--> ending --all sent--> finSent --FIN arrives--> ended
//	any --reset--> cut: nothing moves any more, in can still be read
//
//	open --out is filled--> full --a third of it is free--> open
type lane struct {
	w        *World
	from, to *file
	local    bool

	out     []byte // accepted and not arrived; the first wire bytes are under way
	wire    int
	in      []byte // arrived and not read
	lengths []int  // of the messages in it, if it is a lane of messages
	outMax  int
	inMax   int

	delay, jitter time.Duration
	last          time.Duration // when the latest thing under way arrives

	accepted, arrived int64     // bytes, ever
	passages          []passage // local: descriptors in it, in order

	ending, finSent, ended, cut bool

	full bool // not local: takes nothing for now
}

// newLane returns a lane with random sizes, and a random way if it is not local.
func (w *World) newLane(from, to *file, local bool) *lane {
	l := &lane{w: w, from: from, to: to, local: local}
	l.inMax = w.bufferSize()
	l.outMax = max(w.bufferSize(), l.inMax/2)
	if !local && !w.loopback {
		l.delay = 10*time.Microsecond + w.net.duration(500*time.Microsecond)
		l.jitter = w.net.duration(l.delay)
	}
	if from.kind == packetSocket {
		l.outMax = sendBufferUsual
	}
	if w.net.chance(w.faults.SlowPeer) {
		l.inMax = w.net.between(256, 8192)
		l.delay *= 50
	}
	return l
}

// bufferSize returns the size of a socket's buffer: each doubling of the least
// is as likely as the next.
func (w *World) bufferSize() int {
	size := w.bufferMin
	for size < w.bufferMax && w.net.below(6) > 0 {
		size *= 2
	}
	return min(w.bufferMax, size+w.net.below(size))
}

// room is how many bytes put would take.
func (l *lane) room() int {
	switch {
	case l.cut || l.ending:
		return 0
	case l.from.kind == packetSocket:
		return max(0, l.outMax-len(l.in))
	case l.local:
		return max(0, l.inMax-len(l.in))
	case l.full && !l.spacious():
		return 0
	default:
		return max(0, l.outMax-len(l.out))
	}
}

// spacious reports whether a third of what there may be in out is free: only then
// does a writer that has filled it hear of room (Linux: sk_stream_is_writeable).
// If it heard of every byte, it would write a segment for each segment that
// arrived, no longer than that, and as some are cut in two and none are joined,
// all would be of one byte in the end.
func (l *lane) spacious() bool { return 2*(l.outMax-len(l.out)) >= len(l.out) }

// put takes what there is room for.
func (l *lane) put(p []byte) int {
	n := min(len(p), l.room())
	if n == 0 {
		return 0
	}
	l.accepted += int64(n)
	if l.local {
		l.in = append(l.in, p[:n]...)
		l.arrived += int64(n)
		l.to.touch()
		return n
	}
	l.out = append(l.out, p[:n]...)
	l.full = len(l.out) >= l.outMax
	l.transmit()
	return n
}

// take removes the first n bytes that arrived. The result is valid until the
// next call.
func (l *lane) take(n int) []byte {
	p := l.in[:n:n]
	l.in = l.in[n:]
	if l.local {
		l.dropPassages(false)
		l.from.touch()
	}
	l.transmit()
	return p
}

// shut sends FIN after what was put.
func (l *lane) shut() {
	l.ending = true
	if l.local {
		l.ended = true
		l.to.touch()
		return
	}
	l.transmit()
}

// transmit sends what the window allows, in segments of random size unless
// Options.Loopback says otherwise.
func (l *lane) transmit() {
	for !l.cut && l.wire < len(l.out) {
		window, rest := l.inMax-len(l.in)-l.wire, len(l.out)-l.wire
		if window <= 0 || (window < rest && window < l.inMax/4) {
			return // as TCP: no tiny segments because of a tiny window
		}
		n := min(window, rest, 16<<10)
		if !l.w.loopback && l.w.net.below(4) == 0 {
			n = l.w.net.between(1, n)
		}
		l.wire += n
		l.w.at(l.arrival(), func() { l.arrive(n) })
	}
	if l.ending && !l.finSent && l.wire == len(l.out) && !l.cut {
		l.finSent = true
		l.w.at(l.arrival(), l.finish)
	}
}

// arrival returns when something sent now arrives: never before what was sent
// earlier.
func (l *lane) arrival() time.Duration {
	l.last = max(l.last, l.w.now+l.delay+l.w.net.duration(l.jitter))
	return l.last
}

func (l *lane) arrive(n int) {
	if l.cut {
		return
	}
	if l.to.stage == gone {
		l.refuse()
		return
	}
	l.in = append(l.in, l.out[:n]...)
	l.out = l.out[n:]
	l.wire -= n
	l.arrived += int64(n)
	l.full = l.full && !l.spacious()
	l.to.touch()
	l.from.touch()
}

func (l *lane) finish() {
	if !l.cut {
		l.ended = true
		l.to.touch()
	}
}

// refuse answers data for a closed socket: with RST.
func (l *lane) refuse() {
	l.stop()
	l.w.at(l.w.now+l.delay, l.from.meetReset)
}

// stop drops what has not arrived and lets nothing more move.
func (l *lane) stop() {
	l.cut = true
	l.out, l.wire = nil, 0
}
