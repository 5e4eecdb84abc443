package loop

import (
	"os"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// The events of poll(2).
const (
	pollIn  = 0x1
	pollOut = 0x4
)

// A watcher calls a function as long as a descriptor is ready.
//
//	watching --Remove--> removed --cancelled--> forgotten
type watcher struct {
	loop    *Loop
	op      proactor.Op
	f       func()
	handle  *Handle // scheduled and not yet run
	removed bool
}

// watchKey is a descriptor and a direction.
type watchKey struct {
	fd   int
	mask uint16
}

// AddReader makes the loop call f, on its goroutine, once per round for as long as fd is
// readable, at end of file or in an error state, until RemoveReader is called. f replaces
// an earlier function for fd. Call RemoveReader before closing fd. AddReader is for the
// loop's goroutine.
//
// Errors: ErrFdInUse for a transport's descriptor, ErrLoopClosed, EPERM for a
// regular file, EBADF.
func (l *Loop) AddReader(fd int, f func()) error { return l.watch(fd, pollIn, f) }

// AddWriter is AddReader for writing: f is called for as long as fd is writable. It is
// for the loop's goroutine.
func (l *Loop) AddWriter(fd int, f func()) error { return l.watch(fd, pollOut, f) }

// RemoveReader undoes AddReader and reports whether there was anything to undo. The
// function is not called afterwards. It is for the loop's goroutine.
func (l *Loop) RemoveReader(fd int) bool { return l.unwatch(fd, pollIn) }

// RemoveWriter undoes AddWriter as RemoveReader undoes AddReader. It is for the loop's
// goroutine.
func (l *Loop) RemoveWriter(fd int) bool { return l.unwatch(fd, pollOut) }

func (l *Loop) watch(fd int, mask uint16, f func()) error {
	l.check()
	if l.isClosed() {
		return ErrLoopClosed
	}
	if l.open.At(fd) != nil {
		return ErrFdInUse
	}
	if err := l.engine.Pollable(fd); err != nil {
		return err
	}
	if l.watchers == nil {
		l.watchers = make(map[watchKey]*watcher)
	}
	key := watchKey{fd, mask}
	if w := l.watchers[key]; w != nil {
		w.cancelHandle()
		w.f = f
		return nil
	}
	w := &watcher{loop: l, f: f}
	w.op.Code, w.op.FD, w.op.Mask, w.op.Handler = proactor.Poll, fd, mask, w
	l.watchers[key] = w
	l.engine.Submit(&w.op)
	return nil
}

func (l *Loop) unwatch(fd int, mask uint16) bool {
	l.check()
	key := watchKey{fd, mask}
	w := l.watchers[key]
	if w == nil {
		return false
	}
	delete(l.watchers, key)
	w.removed = true
	w.cancelHandle()
	l.engine.Cancel(&w.op)
	return true
}

func (w *watcher) cancelHandle() {
	if w.handle != nil {
		w.handle.Cancel()
		w.handle = nil
	}
}

// Complete implements proactor.Handler.
func (w *watcher) Complete(op *proactor.Op) {
	if w.removed {
		return
	}
	if op.Res < 0 {
		delete(w.loop.watchers, watchKey{op.FD, op.Mask})
		w.loop.report(Exception{Message: "Error watching a descriptor",
			Err: os.NewSyscallError("poll", syscall.Errno(-op.Res))})
		return
	}
	if w.handle == nil {
		w.handle = w.loop.CallSoon(func() {
			w.handle = nil
			w.f()
		})
	}
}
