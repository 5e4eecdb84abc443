package pressure

// TCPState is the state of a TCP connection, with the kernel's numbers.
type TCPState uint8

// The states, as in the kernel's tcp_states.h.
const (
	TCPEstablished TCPState = iota + 1
	TCPSynSent
	TCPSynRecv
	TCPFinWait1
	TCPFinWait2
	TCPTimeWait
	TCPClose
	TCPCloseWait
	TCPLastAck
	TCPListen
	TCPClosing
	TCPNewSynRecv
)

var tcpStateNames = []string{
	"unknown", "established", "syn-sent", "syn-recv", "fin-wait-1", "fin-wait-2", "time-wait",
	"close", "close-wait", "last-ack", "listen", "closing", "new-syn-recv",
}

// String returns the name that ss uses, in full.
func (s TCPState) String() string { return nameOf(tcpStateNames, s) }

// MarshalText encodes s as its String.
func (s TCPState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText decodes what String returns.
func (s *TCPState) UnmarshalText(text []byte) error {
	return parseName(tcpStateNames, "TCP state", text, s)
}
