package loop

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
)

// Engine says how a loop performs I/O.
type Engine uint8

// The engines.
const (
	Auto  Engine = iota // io_uring where it is available, otherwise epoll
	Uring               // io_uring, or an error
	Epoll               // epoll
	sim                 // a simulated kernel, by package looptest
)

// EngineEnv is the environment variable that selects the engine if Options.Engine is
// Auto. Its value is "uring", "epoll" or "auto". With "epoll" the loop never makes an
// io_uring system call.
const EngineEnv = "SLUICE_ENGINE"

// String returns "auto", "io_uring", "epoll" or "sim".
func (e Engine) String() string {
	return [...]string{"auto", "io_uring", "epoll", "sim"}[e]
}

// Options configure a loop. The zero value is ready to use.
type Options struct {
	// Engine forces an engine; New fails if it is not available.
	Engine Engine

	// Loops is the number of loops that Options.Run makes, each with its own thread, up
	// to 4096; 0 means 1.
	Loops int

	// Entries is the size of io_uring's submission queue, a power of two up to 32768; 0
	// means 256. A round with more operations than that makes more system calls.
	Entries uint32

	// CQEntries is the size of io_uring's completion queue, a power of two from Entries
	// to 65536; 0 means 4096, or four times Entries if that is more. Completions that do
	// not fit wait in the kernel, which costs a system call for each queueful; see
	// Stats.Overflows.
	CQEntries uint32

	// Buffers are the receive buffers that connections share.
	Buffers BufferOptions

	// RelayPipes is how many pipes Relay may have open at a time, up to 32768; 0 means 64.
	// Each has two descriptors, and up to 512 KiB of the kernel's memory while bytes wait
	// in it for a slow peer. When all are in use, bytes are copied.
	RelayPipes int

	// ReserveP adds one to GOMAXPROCS for each loop, so that a loop does not have to wait
	// for goroutines that use a lot of CPU time.
	//
	// Without ReserveP, a process whose loops could occupy all its Ps gets one P more than
	// it has loops, of which up to four for each P count: otherwise the runtime would take
	// a loop's P away whenever the loop sleeps, at the cost of two or three switches of
	// threads. Only a GOMAXPROCS of 1 stays for loops that package stream uses. What
	// was added is taken back when the loops are closed; meanwhile runtime.GOMAXPROCS
	// reports the higher number. If the program sets another one, the loops' share is added
	// to that within a second or so. If the program has set none, changes of a container's
	// CPU limit are followed within half a minute.
	ReserveP bool

	// Trace holds hooks that are called on events; nil means none.
	Trace *Trace

	// Logger gets everything that the loop logs; nil means slog.Default().
	Logger *slog.Logger

	// Debug turns on debug mode, as do SetDebug and the environment variable
	// SLUICE_DEBUG=1. Debug mode is slow. In it, the loop panics if a method is called on
	// the wrong goroutine; logs callbacks that take longer than
	// Loop.SlowCallbackDuration, with their stack at that moment, and transports that are
	// still open when the loop is closed; logs connections, ends of file and pauses of
	// reading, at slog.LevelDebug; adds to each report where the handle or transport was
	// made; and overwrites the slice passed to DataReceived after the call, to expose a
	// protocol that keeps it.
	Debug bool

	// FlowPage makes the loop publish the state of its flow control in a page of shared
	// memory, which package flowpage reads: how much its transports have buffered, whether
	// they are paused, and whether the loop has time to spare. Otherwise none of this can
	// be seen from outside the program. Any process of the same user, or of root, can read
	// the page without stopping the loop. It costs a descriptor and 68 KiB for each loop,
	// about 10 ns for each message and 100 ns for each round.
	FlowPage bool

	// Repanic lets a panic in a callback crash the process instead of being reported to
	// the exception handler.
	Repanic bool
}

// BufferOptions configure the receive buffers of one loop. A connection holds a buffer
// only while its DataReceived runs.
type BufferOptions struct {
	// Size is the size of a buffer in bytes, up to 1 GiB; 0 means 64 KiB. It limits what
	// one DataReceived gets. Size times Max may be at most 1 TiB.
	Size int

	// Min is the number of buffers in circulation at first; 0 means 16. A small number
	// fits in the processor's cache; the loop adds more when they run out.
	Min int

	// Max is how many buffers may be in circulation, a power of two up to 32768; 0 means
	// 256.
	Max int
}

// engineFor resolves Auto with the environment variable. forced says what decided.
func (o *Options) engineFor() (engine Engine, forced string, err error) {
	if o.Engine != Auto {
		return o.Engine, "Options.Engine", nil
	}
	value := os.Getenv(EngineEnv)
	switch strings.ToLower(value) {
	case "", "auto":
		return Auto, "", nil
	case "uring", "io_uring":
		return Uring, EngineEnv, nil
	case "epoll":
		return Epoll, EngineEnv, nil
	}
	return Auto, "", fmt.Errorf("loop: %s=%q: must be uring, epoll or auto", EngineEnv, value)
}
