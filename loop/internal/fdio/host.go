package fdio

import (
	"io"
	"sync/atomic"
	"time"

	"github.com/sluice-net/sluice/loop/internal/page"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// Host is what a transport needs of its loop.
type Host interface {
	// Engine carries out operations.
	Engine() proactor.Proactor

	// Soon runs t in the next round of the loop, never from inside Soon.
	Soon(t Task)

	// Dirty has f flushed at the end of this round, before the engine waits.
	Dirty(f Flusher)

	// After runs f once d has passed, unless the timer is stopped before.
	After(d time.Duration, f func()) Timer

	// Chunks is the loop's pool of output buffers.
	Chunks() *ChunkPool

	// Warm reads n bytes of a file, from offset on, elsewhere, so that they are
	// in the kernel's cache, and then calls done on the loop's goroutine.
	Warm(from io.ReaderAt, offset int64, n int, done func())

	// Report passes what a user's code did wrong to the exception handler.
	Report(e Exception)

	// FlowPage is where transports publish their state; nil: nowhere.
	FlowPage() *page.Page

	// Fallback tells the loop's trace of what could not be had.
	Fallback(feature string, err error)

	// Paused and Resumed tell the loop's trace of a change of flow.
	Paused(t transport.BaseTransport, size int, l transport.Limits)
	Resumed(t transport.BaseTransport, size int, l transport.Limits)

	// Check panics in debug mode when it is not called on the loop's goroutine.
	Check()

	// Debug says whether debug mode is on. Only then are the next three called,
	// so that without it a callback costs the look at a flag.
	Debug() *atomic.Bool

	// Enter is called when a callback of the user begins, Leave when it has
	// ended, also by a panic. They nest. of is whose callback it is.
	Enter(callback string, of any)
	Leave()

	// Note logs what happened to t.
	Note(event string, t transport.BaseTransport, attrs ...any)
}

// Task is something to run in the next round.
type Task interface{ RunTask() }

// Flusher is something with output to hand to the engine.
type Flusher interface{ Flush() }

// Timer can be stopped.
type Timer interface{ Cancel() }

// Exception is something that went wrong in the user's code, or that nobody
// else can be told of.
type Exception struct {
	Message   string // asyncio's wording where asyncio has one
	Err       error
	Transport transport.BaseTransport
	Protocol  transport.BaseProtocol
}

// Owner is told when a transport is lost: a server, for its count.
type Owner interface{ Lost(s *Stream) }
