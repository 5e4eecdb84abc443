package loop_test

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/transport"
)

// goroutine is where a method may be called.
type goroutine string

const (
	anywhere  goroutine = "any goroutine"
	offLoop   goroutine = "any goroutine except the loop's"
	loopsOwn  goroutine = "the loop's goroutine"
	undecided goroutine = "nowhere or in several places, by its comment"
)

// caller has what the methods are called on.
type caller struct {
	l     *loop.Loop
	s     *loop.Server
	h     *loop.Handle
	timer *loop.TimerHandle
}

func ignored[T any](T, error) {}
func ignoredError(error)      {}
func result[T any](_ T, err error) error {
	return err
}

// goroutineRules are all methods of a loop, its servers and its handles: where each may
// be called, and a call of it. Methods for the loop's goroutine look where they are
// before they look at anything else.
var goroutineRules = map[string]struct {
	where goroutine
	call  func(ctx context.Context, c *caller) error
}{
	"Loop.AddReader": {loopsOwn, func(_ context.Context, c *caller) error {
		return c.l.AddReader(0, func() {})
	}},
	"Loop.AddWriter": {loopsOwn, func(_ context.Context, c *caller) error {
		return c.l.AddWriter(0, func() {})
	}},
	"Loop.RemoveReader": {loopsOwn, func(_ context.Context, c *caller) error {
		c.l.RemoveReader(0)
		return nil
	}},
	"Loop.RemoveWriter": {loopsOwn, func(_ context.Context, c *caller) error {
		c.l.RemoveWriter(0)
		return nil
	}},
	"Loop.AddSignalHandler": {loopsOwn, func(_ context.Context, c *caller) error {
		return c.l.AddSignalHandler(syscall.SIGUSR2, func() {})
	}},
	"Loop.RemoveSignalHandler": {loopsOwn, func(_ context.Context, c *caller) error {
		c.l.RemoveSignalHandler(syscall.SIGUSR2)
		return nil
	}},
	"Loop.AllocBuffer": {loopsOwn, func(_ context.Context, c *caller) error {
		c.l.AllocBuffer(1)
		return nil
	}},
	"Loop.FreeBuffer": {loopsOwn, func(_ context.Context, c *caller) error {
		c.l.FreeBuffer(nil)
		return nil
	}},
	"Loop.CallSoon": {loopsOwn, func(_ context.Context, c *caller) error {
		c.l.CallSoon(func() {})
		return nil
	}},
	"Loop.CallLater": {loopsOwn, func(_ context.Context, c *caller) error {
		c.l.CallLater(0, func() {})
		return nil
	}},
	"Loop.CallAt": {loopsOwn, func(_ context.Context, c *caller) error {
		c.l.CallAt(0, func() {})
		return nil
	}},
	"Loop.RunInExecutor": {loopsOwn, func(_ context.Context, c *caller) error {
		c.l.RunInExecutor(func() error { return nil }, nil)
		return nil
	}},
	"Loop.Stats": {anywhere, func(_ context.Context, c *caller) error {
		c.l.Stats()
		return nil
	}},
	"Loop.CallSoonThreadsafe": {anywhere, func(_ context.Context, c *caller) error {
		c.l.CallSoonThreadsafe(func() {})
		return nil
	}},
	"Loop.Debug": {anywhere, func(_ context.Context, c *caller) error {
		c.l.Debug()
		return nil
	}},
	"Loop.Engine": {anywhere, func(_ context.Context, c *caller) error {
		_ = c.l.Engine()
		return nil
	}},
	"Loop.IsRunning": {anywhere, func(_ context.Context, c *caller) error {
		c.l.IsRunning()
		return nil
	}},
	"Loop.SetDebug": {anywhere, func(_ context.Context, c *caller) error {
		c.l.SetDebug(true)
		return nil
	}},
	"Loop.SetExceptionHandler": {anywhere, func(_ context.Context, c *caller) error {
		c.l.SetExceptionHandler(nil)
		return nil
	}},
	"Loop.Stop": {anywhere, func(_ context.Context, c *caller) error {
		c.l.Stop()
		return nil
	}},
	"Loop.Time": {anywhere, func(_ context.Context, c *caller) error {
		c.l.Time()
		return nil
	}},
	"Loop.Why": {anywhere, func(_ context.Context, c *caller) error {
		_ = c.l.Why()
		return nil
	}},
	"Loop.Close": {anywhere, func(_ context.Context, c *caller) error {
		return only(loop.ErrLoopRunning, c.l.Close())
	}},
	"Loop.RunForever": {anywhere, func(_ context.Context, c *caller) error {
		return only(loop.ErrLoopRunning, c.l.RunForever())
	}},
	"Loop.RunUntilComplete": {anywhere, func(ctx context.Context, c *caller) error {
		err := c.l.RunUntilComplete(ctx, func(context.Context) error { return nil })
		return only(loop.ErrLoopRunning, err)
	}},
	"Loop.Shutdown": {offLoop, func(ctx context.Context, c *caller) error {
		return c.l.Shutdown(ctx)
	}},

	"Loop.CreateServer": {offLoop, func(ctx context.Context, c *caller) error {
		return result(c.l.CreateServer(ctx, nil, "", nil))
	}},
	"Loop.CreateServerFunc": {loopsOwn, func(ctx context.Context, c *caller) error {
		c.l.CreateServerFunc(ctx, nil, "", nil, ignored[*loop.Server])
		return nil
	}},
	"Loop.CreateUnixServer": {offLoop, func(ctx context.Context, c *caller) error {
		return result(c.l.CreateUnixServer(ctx, nil, "", nil))
	}},
	"Loop.CreateUnixServerFunc": {loopsOwn, func(ctx context.Context, c *caller) error {
		c.l.CreateUnixServerFunc(ctx, nil, "", nil, ignored[*loop.Server])
		return nil
	}},
	"Loop.CreateConnection": {offLoop, func(ctx context.Context, c *caller) error {
		return result(c.l.CreateConnection(ctx, nil, "", nil))
	}},
	"Loop.CreateConnectionFunc": {loopsOwn, func(ctx context.Context, c *caller) error {
		c.l.CreateConnectionFunc(ctx, nil, "", nil, ignored[transport.Transport])
		return nil
	}},
	"Loop.CreateUnixConnection": {offLoop, func(ctx context.Context, c *caller) error {
		return result(c.l.CreateUnixConnection(ctx, nil, "", nil))
	}},
	"Loop.CreateUnixConnectionFunc": {loopsOwn, func(ctx context.Context, c *caller) error {
		c.l.CreateUnixConnectionFunc(ctx, nil, "", nil, ignored[transport.Transport])
		return nil
	}},
	"Loop.ConnectAcceptedSocket": {offLoop, func(ctx context.Context, c *caller) error {
		return result(c.l.ConnectAcceptedSocket(ctx, nil, nil, nil))
	}},
	"Loop.ConnectAcceptedSocketFunc": {loopsOwn, func(ctx context.Context, c *caller) error {
		c.l.ConnectAcceptedSocketFunc(ctx, nil, nil, nil, ignored[transport.Transport])
		return nil
	}},
	"Loop.CreateDatagramEndpoint": {offLoop, func(ctx context.Context, c *caller) error {
		return result(c.l.CreateDatagramEndpoint(ctx, nil, nil))
	}},
	"Loop.CreateDatagramEndpointFunc": {loopsOwn, func(ctx context.Context, c *caller) error {
		c.l.CreateDatagramEndpointFunc(ctx, nil, nil, ignored[transport.DatagramTransport])
		return nil
	}},
	"Loop.ConnectReadPipe": {offLoop, func(ctx context.Context, c *caller) error {
		return result(c.l.ConnectReadPipe(ctx, nil, nil))
	}},
	"Loop.ConnectReadPipeFunc": {loopsOwn, func(ctx context.Context, c *caller) error {
		c.l.ConnectReadPipeFunc(ctx, nil, nil, ignored[transport.ReadTransport])
		return nil
	}},
	"Loop.ConnectWritePipe": {offLoop, func(ctx context.Context, c *caller) error {
		return result(c.l.ConnectWritePipe(ctx, nil, nil))
	}},
	"Loop.ConnectWritePipeFunc": {loopsOwn, func(ctx context.Context, c *caller) error {
		c.l.ConnectWritePipeFunc(ctx, nil, nil, ignored[transport.WriteTransport])
		return nil
	}},
	"Loop.SubprocessExec": {offLoop, func(ctx context.Context, c *caller) error {
		return result(c.l.SubprocessExec(ctx, nil, nil, nil))
	}},
	"Loop.SubprocessExecFunc": {loopsOwn, func(ctx context.Context, c *caller) error {
		c.l.SubprocessExecFunc(ctx, nil, nil, nil, ignored[transport.SubprocessTransport])
		return nil
	}},
	"Loop.SubprocessShell": {offLoop, func(ctx context.Context, c *caller) error {
		return result(c.l.SubprocessShell(ctx, nil, "", nil))
	}},
	"Loop.SubprocessShellFunc": {loopsOwn, func(ctx context.Context, c *caller) error {
		c.l.SubprocessShellFunc(ctx, nil, "", nil, ignored[transport.SubprocessTransport])
		return nil
	}},
	"Loop.StartTLS": {offLoop, func(ctx context.Context, c *caller) error {
		return result(c.l.StartTLS(ctx, nil, nil, nil, nil))
	}},
	"Loop.StartTLSFunc": {loopsOwn, func(ctx context.Context, c *caller) error {
		c.l.StartTLSFunc(ctx, nil, nil, nil, nil, ignored[transport.Transport])
		return nil
	}},
	"Loop.Sendfile": {offLoop, func(ctx context.Context, c *caller) error {
		return result(c.l.Sendfile(ctx, nil, nil, 0, 0))
	}},
	"Loop.SendfileFunc": {loopsOwn, func(ctx context.Context, c *caller) error {
		c.l.SendfileFunc(ctx, nil, nil, 0, 0, ignored[int64])
		return nil
	}},
	"Loop.Relay": {offLoop, func(ctx context.Context, c *caller) error {
		return result(c.l.Relay(ctx, nil, nil, nil))
	}},
	"Loop.RelayFunc": {loopsOwn, func(ctx context.Context, c *caller) error {
		c.l.RelayFunc(ctx, nil, nil, nil, ignored[loop.Relayed])
		return nil
	}},

	"Server.Addrs": {anywhere, func(_ context.Context, c *caller) error {
		c.s.Addrs()
		return nil
	}},
	"Server.Loop": {anywhere, func(_ context.Context, c *caller) error {
		c.s.Loop()
		return nil
	}},
	"Server.IsServing": {anywhere, func(_ context.Context, c *caller) error {
		c.s.IsServing()
		return nil
	}},
	"Server.StartServing": {anywhere, func(_ context.Context, c *caller) error {
		return c.s.StartServing()
	}},
	"Server.PauseAccepting": {anywhere, func(_ context.Context, c *caller) error {
		c.s.PauseAccepting()
		return nil
	}},
	"Server.ResumeAccepting": {anywhere, func(_ context.Context, c *caller) error {
		c.s.ResumeAccepting()
		return nil
	}},
	"Server.Close": {anywhere, func(_ context.Context, c *caller) error {
		c.s.Close()
		return nil
	}},
	"Server.CloseClients": {anywhere, func(_ context.Context, c *caller) error {
		c.s.CloseClients()
		return nil
	}},
	"Server.AbortClients": {anywhere, func(_ context.Context, c *caller) error {
		c.s.AbortClients()
		return nil
	}},
	"Server.Sockets": {loopsOwn, func(_ context.Context, c *caller) error {
		c.s.Sockets()
		return nil
	}},
	"Server.Conns": {loopsOwn, func(_ context.Context, c *caller) error {
		c.s.Conns()
		return nil
	}},
	"Server.ServeForever": {offLoop, func(ctx context.Context, c *caller) error {
		return c.s.ServeForever(ctx)
	}},
	"Server.ServeForeverFunc": {loopsOwn, func(ctx context.Context, c *caller) error {
		c.s.ServeForeverFunc(ctx, ignoredError)
		return nil
	}},
	"Server.WaitClosed": {offLoop, func(ctx context.Context, c *caller) error {
		return c.s.WaitClosed(ctx)
	}},
	"Server.WaitClosedFunc": {loopsOwn, func(ctx context.Context, c *caller) error {
		c.s.WaitClosedFunc(ctx, ignoredError)
		return nil
	}},
	"Server.Shutdown": {offLoop, func(ctx context.Context, c *caller) error {
		return c.s.Shutdown(ctx)
	}},
	"Server.ShutdownFunc": {loopsOwn, func(ctx context.Context, c *caller) error {
		c.s.ShutdownFunc(ctx, ignoredError)
		return nil
	}},

	"Handle.Cancel": {anywhere, func(_ context.Context, c *caller) error {
		c.h.Cancel()
		return nil
	}},
	"Handle.Cancelled": {anywhere, func(_ context.Context, c *caller) error {
		c.h.Cancelled()
		return nil
	}},
	"TimerHandle.Cancel": {loopsOwn, func(_ context.Context, c *caller) error {
		c.timer.Cancel()
		return nil
	}},
	"TimerHandle.When": {anywhere, func(_ context.Context, c *caller) error {
		c.timer.When()
		return nil
	}},
}

// only returns nil for the error that is wanted.
func only(want, err error) error {
	if errors.Is(err, want) {
		return nil
	}
	return fmt.Errorf("%v, not %w", err, want)
}
