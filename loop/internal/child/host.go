package child

import (
	"os"

	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// Host is what a child needs of its loop. Package loop implements it. All of it is
// for the loop's goroutine, and all functions are called there.
type Host interface {
	// ConnectReadPipeFunc and ConnectWritePipeFunc are those of loop.Loop; they
	// call done before they return.
	ConnectReadPipeFunc(p protocol.Protocol, f *os.File,
		done func(transport.ReadTransport, error))
	ConnectWritePipeFunc(p protocol.Protocol, f *os.File,
		done func(transport.WriteTransport, error))

	// StartProcess calls Start of c off the loop, and then done. Where the loop is
	// closed first, done is not called and the process is killed and reaped.
	StartProcess(c *Command, done func(Process, error))

	// WatchExit calls exited once p has exited, and closes its PidFD then. stop ends
	// that, and kills and reaps p off the loop.
	WatchExit(p Process, exited func()) (stop func())

	// Enter begins to watch a callback of p for slowness, in debug mode, and leave
	// ends that.
	Enter(callback string, p transport.BaseProtocol) (leave func())

	// Report passes what a callback did wrong to the exception handler.
	Report(message string, err error, t transport.BaseTransport, p transport.BaseProtocol)
}
