package loop

import "context"

// block calls start on the loop's goroutine and waits until start has called done. If the
// loop is idle, block runs it meanwhile. It is up to start to watch ctx: when ctx ends,
// it ends what it began and calls done. block itself gives up only when the loop is
// closed.
func block[T any](ctx context.Context, l *Loop, start func(done func(T, error))) (T, error) {
	type result struct {
		value T
		err   error
	}
	var zero T
	if l.onLoop() {
		return zero, ErrOnLoop
	}
	if err := ctx.Err(); err != nil {
		return zero, err
	}
	results := make(chan result, 1)
	h := l.CallSoonThreadsafe(func() {
		start(func(v T, err error) { results <- result{v, err} })
	})
	for len(results) == 0 && !h.Cancelled() {
		l.runWhile(func() bool { return len(results) > 0 })
		select {
		case r := <-results:
			return r.value, r.err
		case <-l.dead:
		case <-l.whenSettled(): // already closed after a run of our own
		}
		if l.isClosed() {
			break
		}
	}
	select {
	case r := <-results:
		return r.value, r.err
	default:
		return zero, ErrLoopClosed
	}
}

// runWhile runs an idle loop until done returns true. It does nothing if the loop is
// already running or closed.
func (l *Loop) runWhile(done func() bool) {
	request, err := l.begin(done)
	if err == nil {
		<-request.done
	}
}

// whenSettled returns a channel that is closed once the loop is not running.
func (l *Loop) whenSettled() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.settled
}

// whenDone calls f on the loop's goroutine when ctx ends, unless stop is called first.
func (l *Loop) whenDone(ctx context.Context, f func()) (stop func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	stopped := false
	cancel := context.AfterFunc(ctx, func() {
		l.CallSoonThreadsafe(func() {
			if !stopped {
				f()
			}
		})
	})
	return func() {
		stopped = true
		cancel()
	}
}

// onLoopNow runs f where it may touch the loop's state: at once if the caller is on the
// loop's goroutine, otherwise on that goroutine while the caller waits. It runs an idle
// loop meanwhile. Of a closed loop the caller runs f; nothing below it may use the engine.
func (l *Loop) onLoopNow(f func()) {
	if l.onLoop() {
		f()
		return
	}
	_, err := block(context.Background(), l, func(done func(struct{}, error)) {
		f()
		done(struct{}{}, nil)
	})
	if err != nil { // the loop is closed: its goroutine touches nothing from its end on
		<-l.ended
		l.late.Lock()
		defer l.late.Unlock()
		f()
	}
}
