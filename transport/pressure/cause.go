package pressure

// Cause is where the time of one direction of a connection goes.
type Cause uint8

// The causes. A connection is held back by one at a time, the one that is
// nearest to the peer when it sends and nearest to the application when it
// receives: what lies before it is waiting for it.
const (
	// CauseIdle: there is nothing to send or nothing to read.
	CauseIdle Cause = iota
	// CauseApp: the application does not read, or has paused reading.
	CauseApp
	// CauseLoop: the loop is busy with other callbacks.
	CauseLoop
	// CauseRing: the ring has the operation and does not carry it out: punted, not
	// submitted, or its completion overflowed.
	CauseRing
	// CauseBuffers: there is no receive buffer.
	CauseBuffers
	// CauseSndBuf: the kernel's send buffer is too small: all of it is sent and
	// waits to be acknowledged.
	CauseSndBuf
	// CauseNet: the congestion window, or a segment that is lost.
	CauseNet
	// CausePeer: the peer's window is closed, or too small.
	CausePeer
	// CauseUnknown: something waits and nothing of the above explains it.
	CauseUnknown

	// CauseMixed is a verdict only: none of the causes leads.
	CauseMixed
)

// Causes is how many causes share the time; CauseMixed is none of them.
const Causes = int(CauseMixed)

var causeNames = []string{
	"idle", "app", "loop", "ring", "buffers", "sndbuf", "net", "peer", "unknown", "mixed",
}

// String returns the cause's name, such as "peer".
func (c Cause) String() string { return nameOf(causeNames, c) }

// MarshalText encodes c as its String.
func (c Cause) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText decodes what String returns.
func (c *Cause) UnmarshalText(text []byte) error { return parseName(causeNames, "cause", text, c) }
