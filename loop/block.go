package loop

import "context"

// block calls start on the loop's goroutine and waits until it has called done.
// An idle loop is run meanwhile. ctx is start's affair while the loop runs: it
// ends what it started and calls done. Only where nobody runs the loop any more
// does block itself give up.
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
		case <-l.whenSettled(): // as it is right after a run of our own
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

// runWhile runs an idle loop until done says so. It does nothing when the loop
// runs already or is closed.
func (l *Loop) runWhile(done func() bool) {
	request, err := l.begin(done)
	if err == nil {
		<-request.done
	}
}

// whenSettled is closed when the loop does not run.
func (l *Loop) whenSettled() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.settled
}
