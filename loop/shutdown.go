package loop

import (
	"context"
	"errors"
)

// Shutdown ends the loop in an orderly way. It closes servers, gives up connections that
// are still being made, and closes transports; until ctx ends, transports may flush and
// functions in RunInExecutor may finish. Whatever is left then is aborted, with
// ConnectionLost(ErrLoopClosed). When Shutdown returns, the loop is closed, and a
// RunForever on another goroutine has returned. It may be called from any goroutine
// except the loop's.
//
// Errors: ctx's error if anything had to be aborted, ErrOnLoop, ErrLoopClosed.
func (l *Loop) Shutdown(ctx context.Context) error {
	_, err := block(context.WithoutCancel(ctx), l, func(done func(struct{}, error)) {
		l.drain(ctx, func(err error) { done(struct{}{}, err) })
	})
	if errors.Is(err, ErrOnLoop) || errors.Is(err, ErrLoopClosed) {
		return err
	}
	l.ending.Store(true)
	for {
		closing := l.Close()
		if !errors.Is(closing, ErrLoopRunning) {
			return errors.Join(err, closing)
		}
		settled := l.whenSettled()
		l.engine.Wake()
		<-settled
	}
}

// drain closes everything and calls done when nothing is left.
func (l *Loop) drain(ctx context.Context, done func(error)) {
	var aborted error
	l.draining = true
	for r := range l.open.All() {
		r.Close()
	}
	stop := l.whenDone(ctx, func() {
		aborted = ctx.Err()
		for r := range l.open.All() {
			r.Fail(ErrLoopClosed)
		}
		l.checkDrained()
	})
	l.onDrained = func() {
		stop()
		done(aborted)
	}
	l.checkDrained()
}

// checkDrained calls onDrained if Shutdown waits and nothing is left.
func (l *Loop) checkDrained() {
	if l.onDrained == nil || !l.open.Empty() {
		return
	}
	done := l.onDrained
	l.onDrained = nil
	done()
}
