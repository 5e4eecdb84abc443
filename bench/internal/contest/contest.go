// Package contest holds what the servers that are compared have in common: what
// they have to do, how they are run in processes of their own, and what is known
// of those from outside.
package contest

import "fmt"

// A Mode is what a server does with its connections.
type Mode string

// The modes.
const (
	// Echo sends back what it receives.
	Echo Mode = "echo"

	// Receive takes what comes and counts it, in the way that is usual for the
	// server: a Protocol, or conn.Read.
	Receive Mode = "receive"

	// ReceiveBuffered is Receive into memory that the server owns: a
	// BufferedProtocol. Where a server knows one way only it is Receive.
	ReceiveBuffered Mode = "receive-buffered"

	// Datagrams sends each UDP datagram back to where it came from.
	Datagrams Mode = "datagrams"

	// EchoTLS is Echo over TLS.
	EchoTLS Mode = "echo-tls"

	// SendFile sends Task.Size bytes of a file for each byte that it receives,
	// out of the kernel's memory where the server can: sendfile(2), splice(2).
	SendFile Mode = "sendfile"

	// Relay passes bytes on between its connections and as many to
	// Task.Target, both ways.
	Relay Mode = "relay"

	// FanOut sends the next Task.Size bytes, at most ChunkMax, to all connections for
	// each byte that it receives on any of them. It is asked for nothing before the
	// last connection was accepted, nor before all have got what was asked for last.
	FanOut Mode = "fan-out"

	// Send sends one block of BlockSize bytes for each byte that it receives,
	// as fast as flow control lets it.
	Send Mode = "send"
)

// BlockSize is the size in bytes of a message in the one-way modes, and of the
// servers' receive buffers.
const BlockSize = 64 << 10

// FileMax is the largest Task.Size in bytes in the mode SendFile.
const FileMax = 1 << 20

// Valid returns an error unless m is one of the modes.
func (m Mode) Valid() error {
	switch m {
	case Echo, EchoTLS, Datagrams, Receive, ReceiveBuffered, Send, SendFile, Relay, FanOut:
		return nil
	}
	return fmt.Errorf("contest: %q is not a mode", string(m))
}

// A Task is what a server process has to do.
type Task struct {
	Mode   Mode   // what to do with connections
	Page   *Page  // shared with the bench
	Target string // of Relay: the address to pass on to
	Size   int    // bytes of a message, where the server has to know
}

// A Server is one contestant. Its methods are called in a process of its own,
// but for Name and Serves.
type Server interface {
	// Name is how the contestant is asked for: "net", "uring", "epoll".
	Name() string

	// Serves reports whether the contestant has that mode.
	Serves(mode Mode) bool

	// Serve listens on a free port of 127.0.0.1, calls ready with the address,
	// and serves until the process ends. It returns why it cannot.
	Serve(task Task, ready func(Hello)) error
}

// Hello is what a server process says once it listens.
type Hello struct {
	Addr string `json:"addr"` // the address that it listens on
	Note string `json:"note"` // what it has to say of itself: the engine and why

	// Pid is the process that serves, where that is another program: what is
	// known of its memory is known from outside. 0 is the process that speaks.
	Pid int `json:"pid,omitempty"`

	// Uncounted says that Page.Conns is not kept.
	Uncounted bool `json:"uncounted,omitempty"`
}
