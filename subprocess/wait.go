package subprocess

import (
	"context"

	"github.com/sluice-net/sluice/transport"
)

// Wait waits until the child behind t has exited and returns its return code. It
// does not wait for the pipes, which a grandchild may hold open. Any number of
// goroutines may wait, except the loop's, which must not block.
//
// Errors: ctx's; transport.ErrProtocolKind for a transport that no loop made.
func Wait(ctx context.Context, t transport.SubprocessTransport) (code int, err error) {
	child, ok := t.(interface{ Exited() <-chan struct{} })
	if !ok {
		return 0, transport.ErrProtocolKind
	}
	select {
	case <-child.Exited():
		code, _ := t.ReturnCode()
		return code, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}
