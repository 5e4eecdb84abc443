// Package opener opens sockets for a loop. It hands over descriptors; the transports are
// the loop's.
package opener

import (
	"context"
	"time"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/registry"
	"github.com/sluice-net/sluice/loop/internal/resolve"
)

// Host is what opening needs of a loop. All of it is for the loop's goroutine, except
// what resolve.Host says.
type Host interface {
	resolve.Host

	// Engine is the loop's engine.
	Engine() proactor.Proactor

	// After runs f once d has passed, unless the timer is stopped before.
	After(d time.Duration, f func()) fdio.Timer

	// WhenDone runs f when ctx ends, unless stop is called first.
	WhenDone(ctx context.Context, f func()) (stop func())

	// Opened and Closed add what is being opened to the list of what is open, and
	// remove it.
	Opened(r registry.Resource)
	Closed(r registry.Resource)

	// Drop closes a descriptor that never became a transport.
	Drop(fd int)

	// Ending reports whether the loop is being shut down: nothing new is begun.
	Ending() bool

	// OnDisk reports whether a path is that of a file: not an abstract name, and not
	// that of a simulated socket.
	OnDisk(path string) bool

	// BufferSize is the size of the loop's receive buffers.
	BufferSize() int

	// Report tells the exception handler of an error that nobody is returned.
	Report(e fdio.Exception)

	// Fallback tells the loop's trace of what is not available.
	Fallback(feature string, err error)
}

// A port in use is tried again after BindPause, BindTries times in all.
const (
	BindPause = 10 * time.Millisecond
	BindTries = 25
)
