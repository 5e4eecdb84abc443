package pressure

// A Finding is something that is wrong, with what shows it and what to do.
type Finding struct {
	// Name is one of the Find constants.
	Name string `json:"name"`
	// Severity orders findings.
	Severity Severity `json:"severity"`
	// Subject is what it is about: "fd 7 127.0.0.1:80 → 127.0.0.1:5123".
	Subject string `json:"subject"`
	// FD is the descriptor, -1 where it is about none; Cookie the socket's, or 0.
	FD     int    `json:"fd"`
	Cookie uint64 `json:"cookie,omitempty"`
	// Evidence is what was seen, in numbers.
	Evidence string `json:"evidence"`
	// Remedy is what to do about it.
	Remedy string `json:"remedy"`
}

// Severity orders findings.
type Severity uint8

// The severities.
const (
	// Info: worth knowing, and perhaps meant so.
	Info Severity = iota
	// Warning: it costs throughput or latency.
	Warning
	// Critical: data or connections are lost.
	Critical
)

var severityNames = []string{"info", "warning", "critical"}

// String returns the severity's name.
func (s Severity) String() string { return nameOf(severityNames, s) }

// MarshalText encodes s as its String.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText decodes what String returns.
func (s *Severity) UnmarshalText(text []byte) error {
	return parseName(severityNames, "severity", text, s)
}

// The names of findings.
const (
	FindSlowPeer     = "slow-peer"           // the peer's window holds sending back
	FindReadPaused   = "reading-paused"      // the application does not read
	FindWritePaused  = "writing-paused"      // the protocol is paused for long
	FindStarved      = "starved-buffer-ring" // receives find no buffer
	FindSmallSndBuf  = "small-sndbuf"        // SO_SNDBUF holds sending back
	FindBusyLoop     = "busy-loop"           // the loop hardly ever waits
	FindNetwork      = "network"             // congestion window or loss
	FindCQOverflow   = "cq-overflow"         // completions found the CQ full
	FindPunts        = "io-wq-punts"         // requests went to worker threads
	FindUDPDrops     = "udp-drops"           // datagrams were dropped
	FindAcceptQueue  = "accept-queue-full"   // connections are not accepted in time
	FindPipeFull     = "pipe-full"           // the reader of a pipe does not keep up
	FindUnixFull     = "unix-full"           // the reader of a Unix socket does not keep up
	FindRetransmits  = "retransmits"         // segments were lost
	FindResets       = "resets"              // connections were reset
	FindMemoryLimit  = "protocol-memory"     // tcp_mem or udp_mem is used up
	FindReceiveQueue = "receive-queue-full"  // segments were refused for want of buffer
)

// Evidence is what Diagnose looks at. It may come from a recording.
type Evidence struct {
	// Snapshots are in the order of time; two at least, or what accumulates can not
	// be told from what is old.
	Snapshots []*Snapshot
	// Accounts are those of the same span. nil means: integrate Snapshots.
	Accounts []Account
}
