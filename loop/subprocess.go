package loop

import (
	"context"

	"github.com/sluice-net/sluice/loop/internal/child"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/subprocess"
	"github.com/sluice-net/sluice/transport"
)

// SubprocessExec starts the program args[0] with the arguments args[1:] and makes a
// transport for the child and p. With nil options, its three standard streams are
// connected to pipes. A name without a slash is looked up in PATH. SubprocessExec returns
// after ConnectionMade has returned; see package subprocess for the callbacks.
//
// If ctx ends first, the child is killed and reaped before SubprocessExec returns, and p
// gets no callback. After SubprocessExec has returned, ctx has no effect; Close kills the
// child. Shutdown closes children as it closes transports; Loop.Close kills them.
//
// SubprocessExec may be called from any goroutine except the loop's.
//
// Errors: *fs.PathError with ENOENT, EACCES …, for the program or the directory;
// subprocess.ErrNoProgram, subprocess.ErrStdio; ctx's error; transport.ErrNilProtocol;
// ErrLoopClosed during Shutdown; ErrOnLoop; a panic in ConnectionMade, after which the
// child is killed. An error leaves nothing behind.
func (l *Loop) SubprocessExec(ctx context.Context, p protocol.SubprocessProtocol, args []string,
	opts *subprocess.Options) (transport.SubprocessTransport, error) {
	return block(ctx, l, func(done func(transport.SubprocessTransport, error)) {
		l.SubprocessExecFunc(ctx, p, args, opts, done)
	})
}

// SubprocessExecFunc is SubprocessExec for the loop's goroutine: done is called on
// it, once, possibly before SubprocessExecFunc returns.
func (l *Loop) SubprocessExecFunc(ctx context.Context, p protocol.SubprocessProtocol,
	args []string, opts *subprocess.Options,
	done func(transport.SubprocessTransport, error)) {
	l.check()
	c := child.Command{Args: args}
	if opts != nil {
		c.Options = *opts
	}
	switch {
	case p == nil:
		done(nil, transport.ErrNilProtocol)
	case l.draining || l.isClosed():
		done(nil, ErrLoopClosed)
	case ctx.Err() != nil:
		done(nil, ctx.Err())
	default:
		l.spawn(ctx, p, c, done)
	}
}

// SubprocessShell is SubprocessExec of /bin/sh with the arguments -c and command.
//
// SubprocessShell may be called from any goroutine except the loop's.
func (l *Loop) SubprocessShell(ctx context.Context, p protocol.SubprocessProtocol, command string,
	opts *subprocess.Options) (transport.SubprocessTransport, error) {
	return l.SubprocessExec(ctx, p, shell(command), opts)
}

// SubprocessShellFunc is SubprocessShell for the loop's goroutine: done is called on it,
// once, possibly before SubprocessShellFunc returns.
func (l *Loop) SubprocessShellFunc(ctx context.Context, p protocol.SubprocessProtocol,
	command string, opts *subprocess.Options,
	done func(transport.SubprocessTransport, error)) {
	l.SubprocessExecFunc(ctx, p, shell(command), opts, done)
}

func shell(command string) []string { return []string{"/bin/sh", "-c", command} }

// childHost returns the loop as its children see it.
func (l *Loop) childHost() child.Parent { return child.Parent{Loop: (*host)(l)} }

// spawn starts a child and keeps it in the loop's list until nothing is left of it.
func (l *Loop) spawn(ctx context.Context, p protocol.SubprocessProtocol, c child.Command,
	done func(transport.SubprocessTransport, error)) {
	var made *child.Child
	over := false
	stop := func() {}
	made = child.Spawn(l.childHost(), p, c, func(t transport.SubprocessTransport, err error) {
		stop()
		done(t, err)
	}, func() {
		over = true
		l.remove(openChild{made})
	})
	if over {
		return
	}
	l.open.Add(openChild{made})
	stop = l.whenDone(ctx, func() { made.Cancel(ctx.Err()) })
}
