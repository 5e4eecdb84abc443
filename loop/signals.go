package loop

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// signalTable holds the signal handlers of a loop.
type signalTable struct {
	handlers map[os.Signal]*signalHandler
}

type signalHandler struct {
	f     func()
	ch    chan os.Signal
	ended chan struct{}
}

// AddSignalHandler makes the loop call f, on its goroutine, for each delivery of sig. It
// replaces an earlier handler. Deliveries that come faster than the loop can run f may be
// merged into one. The handler is removed when the loop is closed. It is for the loop's
// goroutine.
//
// Errors: ErrBadSignal for a signal that does not exist or cannot be caught;
// ErrLoopClosed; an error without a name if f is nil.
func (l *Loop) AddSignalHandler(sig os.Signal, f func()) error {
	l.check()
	if l.isClosed() {
		return ErrLoopClosed
	}
	if f == nil {
		return errors.New("loop: AddSignalHandler needs a function")
	}
	if err := checkSignal(sig); err != nil {
		return err
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

// signalMax is the highest signal number of Linux on the architectures that Go supports.
// MIPS has more signals, but package signal does not accept those either.
const signalMax = 64

// checkSignal returns an error for a signal that could never be delivered; package signal
// does not report one.
func checkSignal(sig os.Signal) error {
	number, ok := sig.(syscall.Signal)
	switch {
	case !ok:
		return fmt.Errorf("%w: %v is not a signal of Linux", ErrBadSignal, sig)
	case number < 1 || number > signalMax:
		return fmt.Errorf("%w: %d is not from 1 to %d", ErrBadSignal, number, signalMax)
	case number == syscall.SIGKILL || number == syscall.SIGSTOP:
		return fmt.Errorf("%w: %v cannot be caught", ErrBadSignal, sig)
	case number >= 32 && number <= 34:
		return fmt.Errorf("%w: %d is the C library's own", ErrBadSignal, number)
	}
	return nil
}

// RemoveSignalHandler restores the default behaviour of sig. It reports whether there was
// a handler. It is for the loop's goroutine.
func (l *Loop) RemoveSignalHandler(sig os.Signal) bool {
	l.check()
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
