package subprocess

import (
	"context"

	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// Loop is implemented by loops that can start children: *loop.Loop.
type Loop interface {
	// SubprocessExec starts a child: see loop.Loop.
	SubprocessExec(ctx context.Context, p protocol.SubprocessProtocol, args []string,
		opts *Options) (transport.SubprocessTransport, error)
}

// Start starts args[0] with the arguments args[1:] and returns the child's
// transport, with p as its protocol. It calls l.SubprocessExec; see there for the
// details.
func Start(ctx context.Context, l Loop, p protocol.SubprocessProtocol, args []string,
	opts *Options) (transport.SubprocessTransport, error) {
	return l.SubprocessExec(ctx, p, args, opts)
}
