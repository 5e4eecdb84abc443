package subprocess

import (
	"context"

	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// Loop is a loop that starts children: *loop.Loop.
type Loop interface {
	// SubprocessExec and the other methods are those of loop.Loop.
	SubprocessExec(ctx context.Context, p protocol.SubprocessProtocol, args []string,
		opts *Options) (transport.SubprocessTransport, error)

	// SubprocessExecFunc is SubprocessExec for the loop's goroutine.
	SubprocessExecFunc(ctx context.Context, p protocol.SubprocessProtocol, args []string,
		opts *Options, done func(transport.SubprocessTransport, error))

	// SubprocessShell is SubprocessExec of a command line of the shell.
	SubprocessShell(ctx context.Context, p protocol.SubprocessProtocol, command string,
		opts *Options) (transport.SubprocessTransport, error)

	// SubprocessShellFunc is SubprocessShell for the loop's goroutine.
	SubprocessShellFunc(ctx context.Context, p protocol.SubprocessProtocol, command string,
		opts *Options, done func(transport.SubprocessTransport, error))

	// IsRunning reports whether the loop runs.
	IsRunning() bool
}

// Start starts args[0] with the arguments args[1:] and makes a transport of the
// child for p. It is l.SubprocessExec, whose comment says all about it.
func Start(ctx context.Context, l Loop, p protocol.SubprocessProtocol, args []string,
	opts *Options) (transport.SubprocessTransport, error) {
	return l.SubprocessExec(ctx, p, args, opts)
}
