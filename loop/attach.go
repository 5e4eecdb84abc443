package loop

import (
	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/hook"
)

func init() {
	hook.Attach = func(l any, create func() hook.Attached) hook.Attached {
		return l.(*Loop).attach(create)
	}
	hook.Post = func(l any, a hook.Attached) { l.(*Loop).post(a) }
	hook.OnLoop = func(l any) bool { return l.(*Loop).onLoop() }
}

// attach returns what package stream keeps of the loop, nil on a closed one.
func (l *Loop) attach(create func() hook.Attached) hook.Attached {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.phase == closed {
		return nil
	}
	if l.attached == nil {
		l.attached = create()
	}
	return l.attached
}

// post has t run in the next round, and wakes the loop. It reports whether that
// will be; not on a closed loop. Any goroutine.
func (l *Loop) post(t fdio.Task) bool {
	l.mu.Lock()
	if l.phase == closed {
		l.mu.Unlock()
		return false
	}
	l.posts = append(l.posts, t)
	first := len(l.posts) == 1
	l.mu.Unlock()
	if first {
		l.engine.Wake()
	}
	return true
}

// detach tells what is attached that the loop is closed, and so nothing can be
// attached any more.
func (l *Loop) detach() {
	l.mu.Lock()
	a := l.attached
	l.attached = nil
	l.mu.Unlock()
	if a != nil {
		a.LoopClosed()
	}
}
