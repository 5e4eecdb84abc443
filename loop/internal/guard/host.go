package guard

import (
	"sync/atomic"
	"time"

	"github.com/sluice-net/sluice/transport"
)

// Watcher is told of the user's callbacks: when one runs, and what it did wrong. All of
// it is for the loop's goroutine.
type Watcher interface {
	// Report passes what a user's code did wrong to the exception handler.
	Report(e Exception)

	// Debug says whether debug mode is on. Only then are Enter, Leave and Note
	// called, so that without it a callback costs the look at a flag.
	Debug() *atomic.Bool

	// Enter is called when a callback of the user begins, Leave when it has
	// ended, also by a panic. They nest. of is whose callback it is.
	Enter(callback string, of any)
	Leave()

	// Note logs what happened to t.
	Note(event string, t transport.BaseTransport, attrs ...any)
}

// Host is what every transport needs of its loop, whatever it is over.
type Host interface {
	Watcher

	// Soon runs t in the next round of the loop, never from inside Soon.
	Soon(t Task)

	// After runs f once d has passed, unless the timer is stopped before.
	After(d time.Duration, f func()) Timer

	// Paused and Resumed tell the loop's trace of a change of flow.
	Paused(t transport.BaseTransport, size int, l transport.Limits)
	Resumed(t transport.BaseTransport, size int, l transport.Limits)

	// Check panics in debug mode when it is not called on the loop's goroutine.
	Check()
}

// Task is something to run in the next round.
type Task interface{ RunTask() }

// Timer can be stopped.
type Timer interface{ Cancel() }

// Exception is an error in the user's code, or one that nobody else can be told of.
type Exception struct {
	Message   string // asyncio's wording where asyncio has one
	Err       error
	Transport transport.BaseTransport
	Protocol  transport.BaseProtocol
}
