package loop

import (
	"context"
	"errors"
)

// Shutdown ends the loop in good order: servers are closed, connections under
// way are given up, transports are closed and may flush until ctx ends, and
// functions in RunInExecutor may finish. What is left then is aborted, with
// ConnectionLost(ErrLoopClosed). Afterwards the loop is closed, and a RunForever
// elsewhere has returned. It may be called from any goroutine except the loop's.
//
// Errors: ctx's if anything had to be aborted, ErrOnLoop, ErrLoopClosed.
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

// checkDrained calls onDrained when Shutdown waits and nothing is left.
func (l *Loop) checkDrained() {
	if l.onDrained == nil || !l.open.Empty() {
		return
	}
	done := l.onDrained
	l.onDrained = nil
	done()
}
