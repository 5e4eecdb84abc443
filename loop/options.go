package loop

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
)

// Engine is what carries operations out.
type Engine uint8

// The engines.
const (
	Auto  Engine = iota // io_uring where it is available, otherwise epoll
	Uring               // io_uring, or an error
	Epoll               // epoll
	sim                 // a simulated kernel, by package looptest
)

// EngineEnv is the environment variable that decides where Options.Engine is
// Auto: "uring", "epoll" or "auto". With "epoll" no io_uring system call is
// ever made.
const EngineEnv = "SLUICE_ENGINE"

// String returns "auto", "io_uring", "epoll" or "sim".
func (e Engine) String() string {
	return [...]string{"auto", "io_uring", "epoll", "sim"}[e]
}

// Options configure a loop. The zero value is ready to use.
type Options struct {
	// Engine forces an engine; New fails where it is not available.
	Engine Engine

	// Loops is how many loops Options.Run makes, a thread each, up to 4096; 0 means 1.
	Loops int

	// Entries is the size of io_uring's submission queue, a power of two up to 32768;
	// 0 means 256. A round that has more operations makes more system calls.
	Entries uint32

	// CQEntries is the size of io_uring's completion queue, a power of two from
	// Entries to 65536; 0 means 4096, or four times Entries where that is more.
	// Completions that do not fit wait in the kernel, which costs a system call for
	// each queue full of them: see Stats.Overflows.
	CQEntries uint32

	// Buffers are the receive buffers that connections share.
	Buffers BufferOptions

	// ReserveP adds one to GOMAXPROCS for each loop, so that a loop does not
	// queue behind goroutines that compute. Setting GOMAXPROCS turns off the
	// runtime's own updates of it.
	ReserveP bool

	// Trace is told of events; nil for none.
	Trace *Trace

	// Logger gets what no handler takes; nil means slog.Default().
	Logger *slog.Logger

	// Debug turns on debug mode, as SetDebug does and the environment variable
	// SLUICE_DEBUG=1. It is slow. The loop then panics where a method is called
	// on the wrong goroutine; logs callbacks that take longer than
	// Loop.SlowCallbackDuration, with the stack that they had by then, and
	// transports that are open when it is closed; logs connections, ends of
	// file and pauses of reading, at slog.LevelDebug; adds to a report where the
	// handle or transport was made; and overwrites the slice of DataReceived
	// after the call, so that a protocol that keeps it is found out.
	Debug bool

	// FlowPage makes the loop publish, in a page of shared memory that package flowpage
	// reads, what only the program knows of its transports' pressure: what they have
	// buffered, whether they are paused, and whether the loop has time. Any process of
	// the same user, and root, can then read it without stopping the loop. It costs a
	// descriptor and 68 KiB for each loop, about 10 ns for each message and 100 ns for
	// each round.
	FlowPage bool

	// Repanic lets a panic of a callback crash the process instead of being
	// reported to the exception handler.
	Repanic bool
}

// BufferOptions are the receive buffers of one loop. A connection holds one of
// them only while its DataReceived runs.
type BufferOptions struct {
	// Size of a buffer in bytes, up to 1 GiB; 0 means 64 KiB. It bounds one
	// DataReceived. Size times Max is 1 TiB at most.
	Size int

	// Min is how many are in circulation at first; 0 means 16. Few stay within
	// the processor's cache; the loop adds more when they run out.
	Min int

	// Max is how many may be in circulation, a power of two up to 32768; 0 means 256.
	Max int
}

// engineFor resolves Auto by the environment. forced says who decided.
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
