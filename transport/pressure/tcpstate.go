package pressure

// The states of a TCP connection that the package looks for, with the numbers of the
// kernel's tcp_states.h.
const (
	tcpEstablished = 1
	tcpListen      = 10
)

var tcpStateNames = []string{
	"unknown", "established", "syn-sent", "syn-recv", "fin-wait-1", "fin-wait-2", "time-wait",
	"close", "close-wait", "last-ack", "listen", "closing", "new-syn-recv",
}

// tcpState returns the name that ss uses, in full.
func tcpState(number uint8) string { return nameOf(tcpStateNames, number) }
