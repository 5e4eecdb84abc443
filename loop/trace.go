package loop

import (
	"time"

	"github.com/sluice-net/sluice/transport"
)

// Trace is a set of hooks, all optional, that are called on the loop's
// goroutine while the thing happens. They must not block.
type Trace struct {
	// PauseWriting is called just before the protocol's, with the buffer's size.
	PauseWriting func(t transport.BaseTransport, size int, l transport.Limits)

	// ResumeWriting is called just before the protocol's.
	ResumeWriting func(t transport.BaseTransport, size int, l transport.Limits)

	// BuffersExhausted is called when a receive found no buffer in the shared
	// group; more are then put into circulation, up to BufferOptions.Max.
	BuffersExhausted func(group uint16)

	// Fallback is called when something could not be had and the loop goes on
	// without it: "io_uring" when Auto chose epoll, "registered buffers" when
	// RLIMIT_MEMLOCK is too small for them, "UDP_SEGMENT" and "UDP_GRO" when an
	// endpoint cannot have GSO or GRO.
	Fallback func(feature string, err error)

	// SlowCallback is called in debug mode when a callback has ended that ran
	// for Loop.SlowCallbackDuration or longer, callbacks inside it not counted.
	// The log says which, and what it was doing.
	SlowCallback func(d time.Duration)
}
