package subprocess

import (
	"context"

	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// Loop is a loop that starts children: *loop.Loop.
type Loop interface {
	// SubprocessExec starts a child: see loop.Loop.
	SubprocessExec(ctx context.Context, p protocol.SubprocessProtocol, args []string,
		opts *Options) (transport.SubprocessTransport, error)
}

// Start starts args[0] with the arguments args[1:] and makes a transport of the
// child for p. It is l.SubprocessExec, whose comment says all about it.
func Start(ctx context.Context, l Loop, p protocol.SubprocessProtocol, args []string,
	opts *Options) (transport.SubprocessTransport, error) {
	return l.SubprocessExec(ctx, p, args, opts)
}
