package pressure

// A Finding is a problem, with the evidence for it and what to do about it.
type Finding struct {
	// Name says which problem it is: "slow-peer", "reading-paused", "writing-paused",
	// "starved-buffer-ring", "small-sndbuf", "busy-loop", "network", "cq-overflow",
	// "io-wq-punts", "udp-drops", "accept-queue-full", "pipe-full", "unix-full",
	// "protocol-memory", "receive-queue-full", "retransmits" or "resets".
	Name string `json:"name"`
	// Severity orders findings.
	Severity Severity `json:"severity"`
	// Subject is what the finding is about: "fd 7 127.0.0.1:80 → 127.0.0.1:5123".
	Subject string `json:"subject"`
	// FD is the descriptor, or -1 if there is none; Cookie is the socket's, or 0.
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
	// Info: worth knowing, and perhaps intended.
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
	findSlowPeer     = "slow-peer"           // the peer's window holds back sending
	findReadPaused   = "reading-paused"      // the application does not read
	findWritePaused  = "writing-paused"      // the protocol is paused for a long time
	findStarved      = "starved-buffer-ring" // receives find no buffer
	findSmallSndBuf  = "small-sndbuf"        // SO_SNDBUF holds back sending
	findBusyLoop     = "busy-loop"           // the loop hardly ever waits
	findNetwork      = "network"             // congestion window or loss
	findCQOverflow   = "cq-overflow"         // completions found the CQ full
	findPunts        = "io-wq-punts"         // requests went to worker threads
	findUDPDrops     = "udp-drops"           // datagrams were dropped
	findAcceptQueue  = "accept-queue-full"   // connections are not accepted in time
	findPipeFull     = "pipe-full"           // the reader of a pipe does not keep up
	findUnixFull     = "unix-full"           // the reader of a Unix socket does not keep up
	findRetransmits  = "retransmits"         // segments were lost
	findResets       = "resets"              // connections were reset
	findMemoryLimit  = "protocol-memory"     // tcp_mem or udp_mem is used up
	findReceiveQueue = "receive-queue-full"  // segments were refused because the buffer was full
)

// Evidence is the input of Diagnose. It may come from a recording.
type Evidence struct {
	// Snapshots are in order of time. There must be at least two, or increments
	// cannot be told from old totals.
	Snapshots []*Snapshot
	// Accounts are those of the same span. nil means that they are computed from
	// Snapshots, as an Accountant does.
	Accounts []Account
}
