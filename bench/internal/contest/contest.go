// Package contest holds what the servers that are compared have in common: what
// they have to do, how they are run in processes of their own, and what is known
// of those from outside.
package contest

import (
	"fmt"
	"os"
	"time"
)

// A Mode is what a server does with its connections.
type Mode string

// The modes.
const (
	// Echo sends back what it receives.
	Echo Mode = "echo"

	// EchoUnix is Echo over a Unix stream socket.
	EchoUnix Mode = "echo-unix"

	// Pipes is Echo by way of a child process for each connection, cat(1): what comes
	// goes to its standard input, and what its standard output brings goes back.
	Pipes Mode = "pipes"

	// HTTP answers each request of HTTP/1.1 with a short text.
	HTTP Mode = "http"

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

	// Timers adds a timer and cancels it, again and again, among TimersMax others.
	// TimersQueue cancels the oldest of TimersMax and adds a new one that is the last
	// to be due. Posts has a function called on the loop's thread, or on a goroutine
	// that gets it by a channel, and PostsMany does so from PostersMax goroutines at
	// once. These have no connections: the server works when it is told to.
	Timers      Mode = "timers"
	TimersQueue Mode = "timers-queue"
	Posts       Mode = "posts"
	PostsMany   Mode = "posts-many"

	// Send sends one block of BlockSize bytes for each byte that it receives,
	// as fast as flow control lets it.
	Send Mode = "send"
)

// BlockSize is the size in bytes of a message in the one-way modes, and of the
// servers' receive buffers.
const BlockSize = 64 << 10

// DatagramBuffer is what servers ask for as the receive buffer of the mode Datagrams, in
// bytes. The kernel gives them as much of it as it allows.
const DatagramBuffer = 4 << 20

// Amounts of the modes without connections.
const (
	TimersMax  = 1_000_000
	PostersMax = 4
)

// FileMax is the largest Task.Size in bytes in the mode SendFile.
const FileMax = 1 << 20

// Valid returns an error unless m is one of the modes.
func (m Mode) Valid() error {
	switch m {
	case Echo, EchoTLS, EchoUnix, Pipes, HTTP, Datagrams, Receive, ReceiveBuffered, Send,
		SendFile, Relay, FanOut, Timers, TimersQueue, Posts, PostsMany:
		return nil
	}
	return fmt.Errorf("contest: %q is not a mode", string(m))
}

// Works reports whether the mode is one without connections: Hello.Work.
func (m Mode) Works() bool {
	return m == Timers || m == TimersQueue || m == Posts || m == PostsMany
}

// UnixName is the abstract name that a server of the calling process listens on.
func UnixName() string { return fmt.Sprintf("@sluice-bench-%d", os.Getpid()) }

// HTTPAnswer is the text that the mode HTTP answers with.
const HTTPAnswer = "Hello, World!"

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

	// Serve listens on a free port of 127.0.0.1, or on an abstract name in the mode
	// EchoUnix, calls ready with the address, and serves until the process ends. It
	// returns why it cannot.
	Serve(task Task, ready func(Hello)) error
}

// Hello is what a server process says once it listens.
type Hello struct {
	Addr string `json:"addr"` // the address that it listens on
	Note string `json:"note"` // what it has to say of itself: the engine and why

	// Pid is the process that serves, where that is another program: what is
	// known of its memory is known from outside. 0 is the process that speaks.
	Pid int `json:"pid,omitempty"`

	// Work does what the mode is about for some time and returns how often. Only of
	// modes without connections, which have no Addr.
	Work func(time.Duration) int64 `json:"-"`

	// Uncounted says that Page.Conns is not kept.
	Uncounted bool `json:"uncounted,omitempty"`
}
