package child

import (
	"os"

	"github.com/sluice-net/sluice/loop/internal/guard"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// Host is what a child needs from its loop. Package loop implements it. Its methods
// must be called on the loop's goroutine, and all functions passed to it are called
// there.
type Host interface {
	guard.Watcher

	// ConnectReadPipeFunc and ConnectWritePipeFunc are those of loop.Loop; they
	// call done before they return.
	ConnectReadPipeFunc(p protocol.Protocol, f *os.File,
		done func(transport.ReadTransport, error))
	ConnectWritePipeFunc(p protocol.Protocol, f *os.File,
		done func(transport.WriteTransport, error))

	// StartProcess calls c.Start off the loop, and then done. If the loop is closed
	// first, done is not called and the process is killed and reaped.
	StartProcess(c *Command, done func(Process, error))

	// WatchExit calls exited once p has exited, and then closes its PidFD. stop
	// ends the watch, and kills and reaps p off the loop.
	WatchExit(p Process, exited func()) (stop func())
}
