package loop

import (
	"time"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// waitMax is the longest that the loop sleeps without looking at its clock.
const waitMax = 24 * time.Hour

// Time returns the time on the loop's monotonic clock, which has nothing to do with the
// time of day. It may be called from any goroutine.
func (l *Loop) Time() time.Duration { return l.engine.Now() }

// CallSoon schedules f for the next round of the loop, after the functions that were
// scheduled before it. After Close the handle is already cancelled when it is returned.
// It is for the loop's goroutine; CallSoonThreadsafe is for others.
func (l *Loop) CallSoon(f func()) *Handle {
	l.check()
	h := &Handle{loop: l, f: f, made: l.origin()}
	if l.isClosed() {
		h.Cancel()
		return h
	}
	l.ready = append(l.ready, h.task())
	return h
}

// CallSoonThreadsafe is CallSoon for other goroutines; it also wakes the loop. Functions
// posted by one goroutine run in the order in which it posted them. After Close the
// handle is already cancelled when it is returned. It may be called from any goroutine.
func (l *Loop) CallSoonThreadsafe(f func()) *Handle {
	h := &Handle{loop: l, f: f, made: l.origin()}
	if !l.post(h.task()) {
		h.Cancel()
	}
	return h
}

// CallLater schedules f to run after d; d <= 0 means in the next round. Timers run in the
// order of their times, even those in the past; timers for the same time run in the order
// in which they were made. A d beyond the end of the clock, some 292 years, means never.
// It is for the loop's goroutine.
func (l *Loop) CallLater(d time.Duration, f func()) *TimerHandle {
	return l.CallAt(proactor.Later(l.Time(), d), f)
}

// CallAt schedules f for the given time on the loop's clock; see Time. It is for the
// loop's goroutine.
func (l *Loop) CallAt(when time.Duration, f func()) *TimerHandle {
	l.check()
	h := &TimerHandle{Handle: Handle{loop: l, f: f, made: l.origin()}, when: when,
		index: noTimer}
	if l.isClosed() {
		h.Handle.Cancel()
		return h
	}
	l.timers.push(h)
	return h
}

// turn is one round: it hands all output to the engine, takes what other goroutines
// posted, waits for completions and delivers them, and then runs the timers that are due
// and everything that is ready now. Whatever those schedule waits for the next round, so
// that input is never starved.
func (l *Loop) turn() error {
	l.turns++
	l.flush()
	l.takePosts()
	if err := l.engine.Wait(l.waitTimeout()); err != nil {
		return err
	}
	l.expire()
	l.runReady()
	return nil
}

// takePosts moves what other goroutines posted to the ready queue, and publishes the
// counters. It comes after flush, so that they contain the output of the round.
func (l *Loop) takePosts() {
	e := l.engine.Stats()
	l.mu.Lock()
	l.count(&l.stats, e)
	posts := l.posts
	l.posts = l.emptied
	l.mu.Unlock()
	if len(l.ready) == 0 { // mostly; nothing needs to be copied
		l.ready, l.emptied = posts, emptied(l.ready, len(posts))
		return
	}
	l.ready = append(l.ready, posts...)
	clear(posts)
	l.emptied = emptied(posts, len(posts))
}

// emptied returns the memory of tasks, which have been cleared, for others, unless it is
// much more than a round has needed: it is from a burst that is over.
func emptied(tasks []fdio.Task, needed int) []fdio.Task {
	if cap(tasks) > 1024 && needed < cap(tasks)/8 {
		return nil
	}
	return tasks[:0]
}

// flush hands the engine the output of all transports that have written.
func (l *Loop) flush() {
	if l.page != nil && len(l.dirty) > 0 {
		l.page.Tick(l.engine.Now()) // when sends begin
	}
	for i := 0; i < len(l.dirty); i++ {
		l.dirty[i].Flush()
		l.dirty[i] = nil
	}
	l.dirty = l.dirty[:0]
}

// waitTimeout returns how long the engine may wait.
func (l *Loop) waitTimeout() time.Duration {
	if len(l.ready) > 0 || l.mustReturn() {
		return 0
	}
	when, ok := l.timers.next()
	if !ok {
		return -1
	}
	now := l.engine.Now()
	if when <= now {
		return 0 // a subtraction might wrap
	}
	return min(when-now, waitMax)
}

// expire moves the timers that are due to the ready queue.
func (l *Loop) expire() {
	if l.timers.first() == nil {
		return
	}
	now := l.engine.Now()
	for h := l.timers.pop(now); h != nil; h = l.timers.pop(now) {
		l.ready = append(l.ready, h.task())
	}
}

// runReady runs what is in the ready queue when it is called.
func (l *Loop) runReady() {
	if len(l.ready) == 0 {
		return
	}
	batch := l.ready
	l.ready = l.spare[:0]
	for i, t := range batch {
		batch[i] = nil
		l.runTask(t)
	}
	l.spare = emptied(batch, len(batch))
}

func (l *Loop) runTask(t fdio.Task) {
	if !l.debug.Load() {
		t.RunTask()
		return
	}
	l.watchdog.Enter("", t)
	defer l.watchdog.Leave()
	t.RunTask()
}
