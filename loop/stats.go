package loop

import "github.com/sluice-net/sluice/loop/internal/proactor"

// Stats counts what a loop has done since it was made.
type Stats struct {
	Engine           Engine // that performs the I/O
	Turns            uint64 // rounds
	Syscalls         uint64 // made by the engine for I/O and waiting
	Waits            uint64 // how many of Syscalls may have slept
	Operations       uint64 // submitted
	Completions      uint64 // delivered
	Wakes            uint64 // writes to wake the loop from another goroutine
	BuffersExhausted uint64 // receives that found no shared buffer
	BuffersInUse     int    // shared receive buffers in circulation, or lent to the output
	Overflows        uint64 // completions that did not fit in the queue
	Transports       int    // open
	Handshakes       uint64 // TLS handshakes that succeeded
	HandshakesFailed uint64 // TLS handshakes that failed, for whatever reason
}

// Stats returns the counts. It may be called from any goroutine, for example from one that
// serves metrics; it does not disturb the loop. On the loop's goroutine the counts are
// current. On any other goroutine they are as of the last time that the loop took what
// other goroutines had posted: at most one round old. While the loop sleeps they lack what
// its engine has done on the way to sleep: the completions of the last output, and its last
// system calls. For a loop that is not running they are those of
// the end of its last run; for a closed loop they are the last ones, with nothing open.
func (l *Loop) Stats() Stats {
	if l.onLoop() {
		var now Stats
		l.count(&now, l.engine.Stats())
		return now
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stats
}

// count writes the counts to s; e are those of the engine. It is for the loop's goroutine,
// or for whoever makes or frees the loop.
func (l *Loop) count(s *Stats, e proactor.Stats) {
	s.Engine, s.Turns = l.kind, l.turns
	s.Syscalls, s.Waits, s.Wakes = e.Syscalls, e.Waits, e.Wakes
	s.Operations, s.Completions, s.Overflows = e.Submitted, e.Completed, e.Overflows
	s.BuffersExhausted, s.BuffersInUse = e.BuffersExhausted, e.BuffersInUse
	s.Transports = l.open.OpenTransports()
	s.Handshakes, s.HandshakesFailed = l.handshakes, l.handshakesFailed
}

// publishStats shows the counts to other goroutines; takePosts and settle do the same with
// the lock that they take anyway.
func (l *Loop) publishStats() {
	e := l.engine.Stats()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count(&l.stats, e)
}

// noneOpen says in the published counts that nothing is open any more.
func (l *Loop) noneOpen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Transports, l.stats.BuffersInUse = 0, 0
}
