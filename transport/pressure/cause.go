package pressure

// Cause says what the time of one direction of a connection is spent on.
type Cause uint8

// The causes. A connection is held back by one at a time: the one nearest to the
// peer when it sends, and the one nearest to the application when it receives.
// Everything before that one is waiting for it.
const (
	// CauseIdle: there is nothing to send or nothing to read.
	CauseIdle Cause = iota
	// CauseApp: the application does not read, or has paused reading.
	CauseApp
	// CauseLoop: the loop is busy with other callbacks.
	CauseLoop
	// CauseRing: the ring has the operation and does not carry it out: it was
	// punted, was not submitted, or its completion overflowed.
	CauseRing
	// CauseBuffers: no receive buffer is free.
	CauseBuffers
	// CauseSndBuf: the kernel's send buffer is too small: everything in it has been
	// sent and is waiting to be acknowledged.
	CauseSndBuf
	// CauseNet: the congestion window, or a lost segment.
	CauseNet
	// CausePeer: the peer's window is closed, or too small.
	CausePeer
	// CauseUnknown: something is waiting and none of the above explains it.
	CauseUnknown

	// CauseMixed is used only as a verdict: none of the causes dominates.
	CauseMixed
)

// Causes is the number of causes that share the time; CauseMixed is not one of
// them.
const Causes = int(CauseMixed)

var causeNames = []string{
	"idle", "app", "loop", "ring", "buffers", "sndbuf", "net", "peer", "unknown", "mixed",
}

// String returns the cause's name, such as "peer".
func (c Cause) String() string { return nameOf(causeNames, c) }

// MarshalText encodes c as its String.
func (c Cause) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText decodes the output of String.
func (c *Cause) UnmarshalText(text []byte) error { return parseName(causeNames, "cause", text, c) }
