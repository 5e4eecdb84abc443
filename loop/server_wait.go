package loop

import (
	"context"
	"errors"
)

// ServeForever serves until ctx ends or Close is called. When ctx ends, it closes the
// server and returns ctx's error; after Close it returns ErrServerClosed. Open
// connections are left open. If the loop is idle, ServeForever runs it.
//
// ServeForever may be called from any goroutine except the loop's.
//
// Errors: ErrServing if another call is serving already, ErrServerClosed, ErrOnLoop.
func (s *Server) ServeForever(ctx context.Context) error {
	return s.wait(ctx, s.ServeForeverFunc)
}

// ServeForeverFunc is ServeForever for the loop's goroutine: done is called on it,
// once, possibly before ServeForeverFunc returns.
func (s *Server) ServeForeverFunc(ctx context.Context, done func(error)) {
	s.loop.check()
	if s.forever {
		done(ErrServing)
		return
	}
	if err := s.start(); err != nil {
		done(err)
		return
	}
	s.forever = true
	stop := s.loop.whenDone(ctx, s.close)
	s.onClosed = append(s.onClosed, func() {
		s.forever = false
		stop()
		err := ctx.Err()
		if err == nil {
			err = ErrServerClosed
		}
		done(err)
	})
}

// WaitClosed waits until Close has been called and all connections are gone, in either
// order. Its error is ctx's error, ErrOnLoop or ErrLoopClosed.
//
// WaitClosed may be called from any goroutine except the loop's.
func (s *Server) WaitClosed(ctx context.Context) error {
	return s.wait(ctx, s.WaitClosedFunc)
}

// WaitClosedFunc is WaitClosed for the loop's goroutine: done is called on it, once,
// possibly before WaitClosedFunc returns.
func (s *Server) WaitClosedFunc(ctx context.Context, done func(error)) {
	s.loop.check()
	if s.closed && len(s.acceptors) == 0 && s.conns == 0 {
		done(nil)
		return
	}
	finished := false
	finish := func(err error) {
		if !finished {
			finished = true
			done(err)
		}
	}
	stop := s.loop.whenDone(ctx, func() { finish(ctx.Err()) })
	s.onDrained = append(s.onDrained, func() {
		stop()
		finish(nil)
	})
}

// Shutdown closes the server and its connections, letting connections flush until ctx
// ends; those that are left then are aborted. It returns when all are gone, with ctx's
// error if any had to be aborted.
//
// Shutdown may be called from any goroutine except the loop's.
//
// Errors: ctx's error, ErrOnLoop, ErrLoopClosed.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.wait(context.WithoutCancel(ctx), func(_ context.Context, done func(error)) {
		s.ShutdownFunc(ctx, done)
	})
	if errors.Is(err, ErrLoopClosed) {
		s.Close() // the file of its socket is still there
	}
	return err
}

// ShutdownFunc is Shutdown for the loop's goroutine: done is called on it, once,
// possibly before ShutdownFunc returns.
func (s *Server) ShutdownFunc(ctx context.Context, done func(error)) {
	s.loop.check()
	s.leaving = true
	s.close()
	s.closeClients()
	s.WaitClosedFunc(ctx, func(err error) {
		if err == nil {
			done(nil)
			return
		}
		s.abortClients()
		s.WaitClosedFunc(context.WithoutCancel(ctx), func(error) { done(err) })
	})
}

// wait is the blocking twin of f.
func (s *Server) wait(ctx context.Context, f func(context.Context, func(error))) error {
	_, err := block(ctx, s.loop, func(done func(struct{}, error)) {
		f(ctx, func(err error) { done(struct{}{}, err) })
	})
	return err
}
