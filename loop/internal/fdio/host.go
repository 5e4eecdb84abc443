package fdio

import (
	"io"

	"github.com/sluice-net/sluice/loop/internal/guard"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport/flowpage"
)

// Host is what a transport over a descriptor needs of its loop.
type Host interface {
	guard.Host

	// Engine carries out operations.
	Engine() proactor.Proactor

	// Dirty has f flushed at the end of this round, before the engine waits.
	Dirty(f Flusher)

	// Chunks is the loop's pool of output buffers.
	Chunks() *ChunkPool

	// Prefetch reads n bytes of a file, from offset on, elsewhere, so that they are
	// in the kernel's cache, and then calls done on the loop's goroutine.
	Prefetch(from io.ReaderAt, offset int64, n int, done func())

	// FlowPage is where transports publish their state; nil: nowhere.
	FlowPage() *flowpage.Page

	// Fallback tells the loop's trace of what could not be had.
	Fallback(feature string, err error)
}

// What the package takes over from guard, so that its users need know one package.
type (
	// Task is something to run in the next round.
	Task = guard.Task

	// Timer can be stopped.
	Timer = guard.Timer

	// Exception is an error in the user's code, or one that nobody else can be told of.
	Exception = guard.Exception
)

// Flusher is something with output to hand to the engine.
type Flusher interface{ Flush() }

// Owner is told when a transport is lost: a server, for its count.
type Owner interface{ Lost(t Transport) }
