package kernelchaos

import (
	"errors"
	"syscall"
)

// verdict compares what both ends of a link have seen with what they did. Both are
// over.
func (l *link) verdict() {
	a, p := l.actor, l.peer
	l.mu.Lock()
	l.count.bytes += a.received + p.got
	if p.broke.Load() {
		l.count.resets++
	}
	if a.eof {
		l.count.ends++
	}
	l.mu.Unlock()
	if a.hasFailed || !a.wasMade {
		return
	}
	if a.received > p.sent {
		a.wrong("the loop received more than was sent")
	}
	if p.got > a.written {
		a.wrong("the peer received more than was written")
	}
	l.judgeEnds()
	l.judgeLoss()
	l.judgePeer()
}

// judgeEnds compares the ends of both streams.
func (l *link) judgeEnds() {
	a, p := l.actor, l.peer
	switch {
	case a.eof && !p.finPossible.Load():
		a.wrong("EOFReceived of a peer that has sent no FIN")
	case a.eof && a.received != p.sent:
		a.wrong("EOFReceived before all was received")
	}
	// Of a reset only one of the two goroutines is told, by the kernel; the other reads
	// an end.
	if !p.sawEnd || p.writeErr != nil || a.dropped || a.err != nil {
		return
	}
	if p.got != a.written {
		a.wrong("the peer read an end in order before all that was written")
		return
	}
	l.mu.Lock()
	l.count.complete++
	l.mu.Unlock()
}

// judgeLoss compares ConnectionLost's error with what was done.
func (l *link) judgeLoss() {
	a, p := l.actor, l.peer
	byUs := a.closed || a.aborted
	reset := errors.Is(a.err, syscall.ECONNRESET)
	pipe := errors.Is(a.err, syscall.EPIPE)
	switch {
	case a.err != nil && !reset && !pipe:
		a.wrong("ConnectionLost with an error that no peer can cause")
	case a.abortedOpen && a.err != nil:
		a.wrong("an error after Abort")
	case a.err != nil && !p.left.Load():
		a.wrong("an error, though the peer stayed to the end")
	case a.err == nil && !a.eof && !byUs && l.kind != pipeWrite:
		a.wrong("the connection ended in order, and nobody had ended it")
	case l.kind == pipeRead && a.err != nil:
		a.wrong("an error of a pipe that is read")
	}
	// A reset is told as one, and as nothing else, unless the stream had ended before
	// or the loop was closing it itself. EPIPE is what Linux says in CLOSE_WAIT.
	if l.kind.tcp() && p.broke.Load() && !p.finPossible.Load() && !byUs && !reset {
		a.wrong("the peer has reset")
	}
	if l.kind.tcp() && pipe && !p.finPossible.Load() && !byUs {
		a.wrong("EPIPE without FIN")
	}
}

// judgePeer compares what befell the peer with what the loop did.
func (l *link) judgePeer() {
	a, p := l.actor, l.peer
	if p.left.Load() {
		return // it did not wait to be told
	}
	byUs := a.closedEarly || a.aborted
	if (p.readErr != nil || p.writeErr != nil) && !byUs {
		a.wrong("the peer met an error, though the loop has ended in order")
	}
	for _, err := range []error{p.readErr, p.writeErr} {
		if err != nil && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) &&
			!errors.Is(err, syscall.ENOTCONN) {
			a.wrong("the peer met %v", err)
		}
	}
	if !p.sawEnd && p.readErr == nil && l.kind != pipeRead {
		a.wrong("the peer stayed and has seen no end")
	}
}
