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

// attach returns the state that package stream attaches to the loop, creating it if there
// is none. It returns nil if the loop is closed.
func (l *Loop) attach(create func() hook.Attached) hook.Attached {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.phase == closed {
		return nil
	}
	if l.attached == nil {
		l.attached = create()
		if l.kind != sim {
			l.procs.Share()
		}
	}
	return l.attached
}

// post schedules t for the next round and wakes the loop. It reports whether t will run:
// on a closed loop it will not. It may be called from any goroutine.
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

// detach tells the attached state that the loop is closed. Nothing can be attached after
// that.
func (l *Loop) detach() {
	l.mu.Lock()
	a := l.attached
	l.attached = nil
	l.mu.Unlock()
	if a != nil {
		a.LoopClosed()
	}
}
