package guard

import (
	"sync/atomic"
	"time"

	"github.com/sluice-net/sluice/transport"
)

// Watcher is told about the user's callbacks: when one runs, and what it did wrong. Its
// methods are for the loop's goroutine.
type Watcher interface {
	// Report passes an error in the user's code to the exception handler.
	Report(e Exception)

	// Debug says whether debug mode is on. Only then are Enter, Leave and Note called, so
	// that otherwise a callback costs only a check of a flag.
	Debug() *atomic.Bool

	// Enter is called when a callback of the user begins, Leave when it has ended, even
	// with a panic. The calls nest. of is what the callback belongs to.
	Enter(callback string, of any)
	Leave()

	// Note logs what happened to t.
	Note(event string, t transport.BaseTransport, attrs ...any)
}

// Host is what every transport, of any kind, needs from its loop.
type Host interface {
	Watcher

	// Soon runs t in the next round of the loop, never from inside Soon.
	Soon(t Task)

	// After runs f once d has passed, unless the timer is stopped before.
	After(d time.Duration, f func()) Timer

	// Paused and Resumed tell the loop's trace that writing was paused or resumed.
	Paused(t transport.BaseTransport, size int, l transport.Limits)
	Resumed(t transport.BaseTransport, size int, l transport.Limits)

	// Check panics in debug mode when it is not called on the loop's goroutine.
	Check()
}

// Task is something to run in the next round.
type Task interface{ RunTask() }

// Timer can be stopped.
type Timer interface{ Cancel() }

// Exception is an error in the user's code, or one that cannot be returned to anybody.
type Exception struct {
	Message   string // asyncio's wording where asyncio has one
	Err       error
	Transport transport.BaseTransport
	Protocol  transport.BaseProtocol
}
