package loop

import (
	"context"
	"errors"
)

// ServeForever serves until ctx ends, and then closes the server and returns
// ctx's error; or until Close is called, and then returns ErrServerClosed. Open
// connections are left open. An idle loop is run meanwhile.
//
// Errors: ErrServing when it is called twice at a time, ErrServerClosed,
// ErrOnLoop.
func (s *Server) ServeForever(ctx context.Context) error {
	_, err := block(ctx, s.loop, func(done func(struct{}, error)) {
		s.serveForever(ctx, func(err error) { done(struct{}{}, err) })
	})
	return err
}

func (s *Server) serveForever(ctx context.Context, done func(error)) {
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

// WaitClosed waits until Close was called and all connections are gone, in
// either order. Its error is ctx's, ErrOnLoop or ErrLoopClosed.
func (s *Server) WaitClosed(ctx context.Context) error {
	_, err := block(ctx, s.loop, func(done func(struct{}, error)) {
		s.waitClosed(ctx, func(err error) { done(struct{}{}, err) })
	})
	return err
}

func (s *Server) waitClosed(ctx context.Context, done func(error)) {
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

// Shutdown closes the server and its connections, letting them flush until ctx
// ends; those that are then left are aborted. It returns when all are gone, with
// ctx's error if any had to be aborted.
func (s *Server) Shutdown(ctx context.Context) error {
	if s.loop.onLoop() {
		return ErrOnLoop
	}
	s.loop.onLoopNow(func() { s.leaving = true })
	s.Close()
	s.CloseClients()
	err := s.WaitClosed(ctx)
	if err == nil || errors.Is(err, ErrLoopClosed) {
		return err
	}
	s.AbortClients()
	return errors.Join(err, s.WaitClosed(context.WithoutCancel(ctx)))
}
