package loop

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// signalTable is the signal handlers of a loop.
type signalTable struct {
	handlers map[os.Signal]*signalHandler
}

type signalHandler struct {
	f     func()
	ch    chan os.Signal
	ended chan struct{}
}

// AddSignalHandler has f called on the loop's goroutine for each delivery of
// sig, which replaces an earlier handler. Deliveries that come faster than the
// loop runs may become one. The handler is removed when the loop is closed.
//
// Errors: SIGKILL and SIGSTOP cannot be caught; ErrLoopClosed.
func (l *Loop) AddSignalHandler(sig os.Signal, f func()) error {
	l.check()
	if l.isClosed() {
		return ErrLoopClosed
	}
	if sig == nil || f == nil {
		return errors.New("loop: AddSignalHandler needs a signal and a function")
	}
	if sig == syscall.SIGKILL || sig == syscall.SIGSTOP {
		return fmt.Errorf("loop: signal %v cannot be caught", sig)
	}
	l.RemoveSignalHandler(sig)
	h := &signalHandler{f: f, ch: make(chan os.Signal, 16), ended: make(chan struct{})}
	if l.signals.handlers == nil {
		l.signals.handlers = make(map[os.Signal]*signalHandler)
	}
	l.signals.handlers[sig] = h
	signal.Notify(h.ch, sig)
	go func() {
		defer close(h.ended)
		for range h.ch {
			l.CallSoonThreadsafe(func() {
				if l.signals.handlers[sig] == h {
					h.f()
				}
			})
		}
	}()
	return nil
}

// RemoveSignalHandler restores the default for sig. It reports whether there
// was a handler.
func (l *Loop) RemoveSignalHandler(sig os.Signal) bool {
	h := l.signals.handlers[sig]
	if h == nil {
		return false
	}
	delete(l.signals.handlers, sig)
	h.end()
	return true
}

func (h *signalHandler) end() {
	signal.Stop(h.ch)
	close(h.ch)
	<-h.ended
}

func (t *signalTable) removeAll() {
	for _, h := range t.handlers {
		h.end()
	}
	t.handlers = nil
}
