package fdio

import (
	"io"

	"github.com/sluice-net/sluice/loop/internal/guard"
	"github.com/sluice-net/sluice/loop/internal/page"
	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// Host is what a transport over a descriptor needs from its loop.
type Host interface {
	guard.Host

	// Engine returns the engine that performs operations.
	Engine() proactor.Proactor

	// Dirty schedules f to be flushed at the end of this round, before the engine waits.
	Dirty(f Flusher)

	// Chunks returns the loop's pool of output buffers.
	Chunks() *ChunkPool

	// Pipes returns the loop's pool of pipes for relays.
	Pipes() *PipePool

	// Prefetch reads n bytes of a file, from offset on, elsewhere, so that they are
	// in the kernel's cache, and then calls done on the loop's goroutine.
	Prefetch(from io.ReaderAt, offset int64, n int, done func())

	// FlowPage returns the page on which transports publish their state, or nil for none.
	FlowPage() *page.Page

	// Fallback tells the loop's trace that a feature is not available.
	Fallback(feature string, err error)
}

// Names from package guard, so that users of this package need only this one.
type (
	// Task is something to run in the next round.
	Task = guard.Task

	// Timer can be stopped.
	Timer = guard.Timer

	// Exception is an error in the user's code, or one that cannot be returned to
	// anybody.
	Exception = guard.Exception
)

// Flusher is something with output to hand to the engine.
type Flusher interface{ Flush() }

// Owner is told when a transport is lost: a server, for its count.
type Owner interface{ Lost(t Transport) }
