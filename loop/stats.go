package loop

// Stats holds counts of what a loop has done since it was made.
type Stats struct {
	Engine           Engine // that performs the I/O
	Turns            uint64 // rounds
	Syscalls         uint64 // made by the engine for I/O and waiting
	Waits            uint64 // how many of Syscalls may have slept
	Operations       uint64 // submitted
	Completions      uint64 // delivered
	Wakes            uint64 // writes to wake the loop from another goroutine
	BuffersExhausted uint64 // receives that found no shared buffer
	BuffersInUse     int    // shared receive buffers in circulation
	Overflows        uint64 // completions that did not fit in the queue
	Transports       int    // open
	Handshakes       uint64 // TLS handshakes that succeeded
	HandshakesFailed uint64 // TLS handshakes that failed, for whatever reason
}

// Stats returns the counts. It is for the loop's goroutine.
func (l *Loop) Stats() Stats {
	l.check()
	e := l.engine.Stats()
	return Stats{Engine: l.kind, Turns: l.turns, Syscalls: e.Syscalls, Waits: e.Waits,
		Operations: e.Submitted, Completions: e.Completed, Wakes: e.Wakes,
		BuffersExhausted: e.BuffersExhausted, BuffersInUse: e.BuffersInUse,
		Overflows: e.Overflows, Transports: l.open.OpenTransports(),
		Handshakes: l.handshakes, HandshakesFailed: l.handshakesFailed}
}
