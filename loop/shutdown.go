package loop

import (
	"context"
	"errors"
	"slices"

	"github.com/sluice-net/sluice/loop/internal/fdio"
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
	for _, s := range append([]*Server(nil), l.servers...) {
		s.close()
	}
	for s := range l.streams.all() {
		if t, ok := s.(*fdio.Stream); ok {
			topOf(t).Close()
		} else {
			s.Close()
		}
	}
	for _, d := range slices.Clone(l.dials) {
		d.settle(ErrLoopClosed)
	}
	l.closeChildren()
	stop := l.whenDone(ctx, func() {
		aborted = ctx.Err()
		l.executing = 0
		for s := range l.streams.all() {
			s.Fail(ErrLoopClosed)
		}
		l.failChildren()
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
	if l.onDrained == nil || l.streams.count > 0 || len(l.dials) > 0 || l.executing > 0 ||
		len(l.children) > 0 || len(l.exits) > 0 || l.listening() {
		return
	}
	done := l.onDrained
	l.onDrained = nil
	done()
}

// listening reports whether a listener is still being closed.
func (l *Loop) listening() bool {
	for _, s := range l.servers {
		if len(s.acceptors) > 0 {
			return true
		}
	}
	return false
}
