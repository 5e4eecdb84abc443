package loop

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/sluice-net/sluice/loop/internal/sys"
)

// flushGrace is how long Run lets open transports flush after its function has returned.
const flushGrace = 3 * time.Second

// A runRequest asks the loop's goroutine to run the loop: until Stop or, for a blocking
// method on an idle loop, until that method is done, in which case Stop has no effect on
// the run.
type runRequest struct {
	until func() bool // nil: until Stop
	done  chan error
}

// Run makes a loop, calls main while the loop runs, and then shuts it down: it closes
// servers, closes transports and gives them up to three seconds to flush, and aborts
// whatever is left. It corresponds to asyncio.run. main runs on the goroutine that called
// Run, not on the loop's, and may call the loop's blocking methods. Its ctx ends when the
// loop does.
func Run(ctx context.Context, main func(ctx context.Context, l *Loop) error) error {
	return Options{}.Run(ctx, main)
}

// Run is like the function Run, with options. If Loops is greater than 1, main runs once
// for each of the loops, concurrently; the first error cancels the contexts of the
// others.
func (o Options) Run(ctx context.Context, main func(context.Context, *Loop) error) error {
	n := max(o.Loops, 1)
	var loops []*Loop
	for range n {
		l, err := New(&o)
		if err != nil {
			for _, made := range loops {
				err = errors.Join(err, made.Close())
			}
			return err
		}
		loops = append(loops, l)
	}
	if n == 1 {
		return loops[0].runMain(ctx, main)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, n)
	var all sync.WaitGroup
	for i, l := range loops {
		all.Go(func() {
			errs[i] = l.runMain(ctx, main)
			if errs[i] != nil {
				cancel()
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func (l *Loop) runMain(ctx context.Context, main func(context.Context, *Loop) error) error {
	err := l.RunUntilComplete(ctx, func(ctx context.Context) error { return main(ctx, l) })
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushGrace)
	defer cancel()
	if e := l.Shutdown(grace); e != nil && !errors.Is(e, context.DeadlineExceeded) &&
		!errors.Is(e, ErrLoopClosed) {
		err = errors.Join(err, e)
	}
	return err
}

// RunForever runs the loop until Stop. Callbacks run on the loop's own goroutine; the
// caller waits. If a blocking method called on another goroutine is running the idle
// loop, RunForever takes over when that method is done. It may be called from any
// goroutine.
//
// Errors: ErrLoopRunning, ErrLoopClosed, ErrGoexit, or the error that made the engine
// fail, after which the loop is closed.
func (l *Loop) RunForever() error { return l.run(nil) }

// RunUntilComplete runs the loop while f runs on the caller's goroutine, and returns f's
// error. If the loop stops before f has returned, f's context ends, and the result is
// ErrLoopStopped or the error that ended the loop. It may be called from any goroutine.
//
// Errors: those of RunForever, ErrLoopStopped, f's error.
func (l *Loop) RunUntilComplete(ctx context.Context, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	request, err := l.begin(nil)
	if err != nil {
		return err
	}
	watched := make(chan error, 1)
	go func() {
		err := <-request.done
		cancel(ErrLoopStopped)
		watched <- err
	}()
	returned := false
	defer func() {
		if !returned { // f panicked: leave the loop idle
			l.Stop()
			<-watched
		}
	}()
	result := f(ctx)
	returned = true
	stopped := context.Cause(ctx) == ErrLoopStopped
	l.Stop()
	err = <-watched
	l.stopping.Store(false) // a Stop that came too late must not end the next run
	if err == nil && stopped {
		err = ErrLoopStopped
	}
	if err == nil {
		return result
	}
	return errors.Join(err, result)
}

// Stop ends the current run after its current round: functions that are ready by then
// still run, and what they schedule waits for the next run. If the loop is not running,
// Stop ends the next run after one round. It may be called from any goroutine.
func (l *Loop) Stop() {
	l.stopping.Store(true)
	l.engine.Wake()
}

// run runs the loop until Stop or, if until is not nil, until it returns true. until is
// called on the loop's goroutine after every round.
func (l *Loop) run(until func() bool) error {
	request, err := l.begin(until)
	if err != nil {
		return err
	}
	return <-request.done
}

// begin makes the loop's goroutine run the loop. The result arrives on the request's
// channel.
func (l *Loop) begin(until func() bool) (*runRequest, error) {
	request := &runRequest{until: until, done: make(chan error, 1)}
	for {
		wait, err := l.claim(request)
		if err != nil {
			return nil, err
		}
		if wait == nil {
			l.starts <- request
			return request, nil
		}
		<-wait
	}
}

// claim makes request the one that runs the loop. If another request runs it and will end
// by itself, claim returns a channel to wait on.
func (l *Loop) claim(request *runRequest) (wait <-chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.phase == closed:
		return nil, ErrLoopClosed
	case l.phase == running && request.until == nil && l.current.until != nil:
		return l.settled, nil
	case l.phase == running:
		return nil, ErrLoopRunning
	}
	l.phase, l.current = running, request
	l.settled = make(chan struct{})
	if l.starts == nil {
		l.starts = make(chan *runRequest)
		go l.main()
	}
	return nil, nil
}

// main is the loop's goroutine, locked to its thread until Close: io_uring takes calls
// only from the thread that enabled the ring.
func (l *Loop) main() {
	defer close(l.ended)
	if l.kind != sim {
		l.procs.Open(l.opts.ReserveP)
		defer l.procs.Close()
	}
	runtime.LockOSThread()
	l.thread.Store(int64(sys.ThreadID()))
	defer l.free()
	if err := l.engine.Start(); err != nil {
		request := <-l.starts
		l.settle(closed)
		request.done <- err
		return
	}
	for request := range l.starts {
		if !l.serve(request) {
			return
		}
	}
}

// serve carries out one request. It returns false if the loop is then closed, because the
// engine failed or a callback ended the goroutine.
func (l *Loop) serve(request *runRequest) (alive bool) {
	err := ErrGoexit
	defer func() {
		next := idle
		if err != nil {
			next = closed
		}
		l.settle(next)
		request.done <- err
		alive = err == nil
	}()
	if l.page != nil {
		l.page.Run(l.engine.Now(), int(l.thread.Load()))
		defer func() { l.page.Idle(l.engine.Now()) }()
	}
	err = l.rounds(request)
	if err != nil {
		l.perish(err)
	}
	return true
}

// perish tells every open transport that the engine has failed, for instance because a
// sandbox that was set up meanwhile forbids its system calls.
func (l *Loop) perish(err error) {
	l.engine.Halt()
	for t := range l.open.Transports() {
		t.Perish(err)
	}
}

// rounds runs the loop until the request is met or the engine fails.
func (l *Loop) rounds(request *runRequest) error {
	for {
		if err := l.turn(); err != nil {
			return err
		}
		if l.ending.Load() || request.until != nil && request.until() {
			return nil
		}
		if request.until == nil && l.stopping.Swap(false) {
			return nil
		}
	}
}

// mustReturn reports whether the current round is the last one.
func (l *Loop) mustReturn() bool {
	return l.ending.Load() || l.current.until == nil && l.stopping.Load()
}

// settle ends the phase running; next is the phase after it.
func (l *Loop) settle(next phase) {
	e := l.engine.Stats()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count(&l.stats, e)
	if next == closed {
		l.setClosed()
	} else {
		l.phase = next
	}
	close(l.settled)
}
