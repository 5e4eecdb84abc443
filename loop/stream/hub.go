package stream

import (
	"context"
	"maps"
	"runtime"
	"slices"
	"sync"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/internal/hook"
)

// A hub is what a loop's connections share: their way onto its goroutine. A member that
// has work for the loop puts itself on a list, and only the first one wakes the loop. So
// a thousand writers cost one post.
type hub struct {
	loop *loop.Loop
	gone chan struct{} // closed with the loop

	yields bool // in the next round; the loop's goroutine

	mu      sync.Mutex // guards what follows
	asking  []member
	spare   []member
	members map[member]struct{} // open; nil when the loop is closed
}

// A member is a connection, listener or endpoint.
type member interface {
	serve()      // does what it asked for; the loop's goroutine
	loopClosed() // no callback comes any more; any goroutine
}

// hubOf returns the hub of a loop.
func hubOf(l *loop.Loop) (*hub, error) {
	attached := hook.Attach(l, func() hook.Attached {
		return &hub{loop: l, gone: make(chan struct{}), members: map[member]struct{}{}}
	})
	if attached == nil {
		return nil, loop.ErrLoopClosed
	}
	return attached.(*hub), nil
}

// ask makes the loop call m.serve on its goroutine. The caller makes sure that m is on
// the list only once.
func (h *hub) ask(m member) {
	h.mu.Lock()
	h.asking = append(h.asking, m)
	first := len(h.asking) == 1
	h.mu.Unlock()
	if first {
		hook.Post(h.loop, h)
	}
}

// RunTask serves all members that asked. The loop calls it.
func (h *hub) RunTask() {
	h.mu.Lock()
	batch := h.asking
	h.asking = h.spare[:0]
	h.mu.Unlock()
	for i, m := range batch {
		batch[i] = nil
		m.serve()
	}
	h.mu.Lock()
	h.spare = batch[:0]
	h.mu.Unlock()
	if h.yields {
		h.yields = false
		runtime.Gosched()
	}
}

// yieldSoon is called when the loop's goroutine has woken another one. If there is only
// one P, that goroutine could not run until the runtime noticed that the loop's thread
// sleeps, which may take 10 ms. So the loop lets others run first, after it has looked
// once more at what has arrived meanwhile.
func (h *hub) yieldSoon() {
	if !h.yields && runtime.GOMAXPROCS(0) == 1 {
		h.yields = true
		hook.Post(h.loop, h)
	}
}

// join makes the hub tell m when the loop is closed, at once if it already is.
func (h *hub) join(m member) {
	h.mu.Lock()
	late := h.members == nil
	if !late {
		h.members[m] = struct{}{}
	}
	h.mu.Unlock()
	if late {
		m.loopClosed()
	}
}

// leave undoes join.
func (h *hub) leave(m member) {
	h.mu.Lock()
	delete(h.members, m)
	h.mu.Unlock()
}

// LoopClosed tells all members that the loop is closed. The loop calls it.
func (h *hub) LoopClosed() {
	h.mu.Lock()
	members := slices.Collect(maps.Keys(h.members))
	h.members, h.asking = nil, nil
	h.mu.Unlock()
	close(h.gone)
	for _, m := range members {
		m.loopClosed()
	}
}

// onLoop reports whether the caller is the loop's goroutine.
func (h *hub) onLoop() bool { return hook.OnLoop(h.loop) }

// lock takes mu, which a goroutine holds while it waits for the loop: the loop's own
// goroutine would wait for itself. Error: loop.ErrOnLoop.
func (h *hub) lock(mu *sync.Mutex) error {
	if mu.TryLock() {
		return nil
	}
	if h.onLoop() {
		return loop.ErrOnLoop
	}
	mu.Lock()
	return nil
}

// await waits until done is closed, which happens at the latest when the loop is closed.
func (h *hub) await(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	default:
	}
	if h.onLoop() {
		return loop.ErrOnLoop
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// call runs f on the loop's goroutine and waits until it has returned. A panic in f
// becomes a panic of the caller.
func (h *hub) call(f func()) error {
	if h.onLoop() {
		f()
		return nil
	}
	var panicked any
	done := make(chan struct{})
	h.loop.CallSoonThreadsafe(func() {
		defer close(done)
		defer func() { panicked = recover() }()
		f()
	})
	select {
	case <-done:
	case <-h.gone:
		select {
		case <-done:
		default:
			return loop.ErrLoopClosed
		}
	}
	if panicked != nil {
		panic(panicked)
	}
	return nil
}
