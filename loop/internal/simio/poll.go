package simio

import (
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// The events of poll(2).
const (
	pollIn    = 0x1
	pollOut   = 0x4
	pollErr   = 0x8
	pollHup   = 0x10
	pollRdHup = 0x2000
)

// scanPolls queues a completion for each Poll whose condition holds, one a Wait.
func (e *Engine) scanPolls() {
	kept := e.polls[:0]
	for _, fl := range e.polls {
		if fl.state == finished {
			continue
		}
		kept = append(kept, fl)
		if fl.state != running || fl.file == nil || fl.queued > 0 {
			continue
		}
		if events := fl.file.events() & (fl.op.Mask | pollErr | pollHup); events != 0 {
			if fl.op.Once {
				fl.finish(int32(events))
			} else {
				fl.more(completion{res: int32(events)})
			}
		}
	}
	clear(e.polls[len(kept):])
	e.polls = kept
}

// Pollable implements proactor.Kernel.
func (e *calls) Pollable(fd int) error {
	e.call()
	defer e.mu.Unlock()
	switch f := e.open(fd); {
	case f == nil:
		return sysError("epoll_ctl", syscall.EBADF)
	case f.kind == regularFile:
		return sysError("epoll_ctl", syscall.EPERM)
	}
	return nil
}

// events is what poll(2) says of f.
func (f *file) events() uint16 {
	switch {
	case f.kind == regularFile:
		return pollIn | pollOut
	case f.event != nil:
		return when(f.event.count > 0, pollIn)
	case f.kind == child:
		return when(f.exited, pollIn)
	case f.kind == datagramSocket:
		return when(!f.peerIsFull() && f.halfEmpty(), pollOut) |
			when(len(f.packets) > 0, pollIn) | when(f.err != 0, pollErr|pollIn) |
			when(len(f.errors) > 0, pollErr)
	case f.stage == listening:
		return when(len(f.queue) > 0, pollIn)
	case f.stage == fresh:
		return pollOut | pollHup
	case f.stage == connected:
		return f.streamEvents()
	}
	return 0
}

func (f *file) streamEvents() uint16 {
	events := when(f.err != 0, pollErr)
	if rx := f.rx; rx != nil {
		over := rx.ended || f.broken
		events |= when(rx.unread(), pollIn)
		if f.kind == pipeEnd {
			return events | when(over, pollHup)
		}
		events |= when(over, pollIn|pollRdHup)
		events |= when(f.broken || (over && f.tx.ending), pollHup)
	}
	if tx := f.tx; tx != nil {
		if f.kind == pipeEnd {
			return events | when(tx.cut, pollErr|pollOut) | when(tx.room() > 0, pollOut)
		}
		events |= when(f.broken || tx.cut || tx.ending || tx.room() > 0, pollOut)
	}
	return events
}

// when returns events if the condition holds.
func when(condition bool, events uint16) uint16 {
	if condition {
		return events
	}
	return 0
}

// NewChild returns the pidfd of a child without a program: it runs until Exit.
func (w *World) NewChild() (pidfd int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.newFile(child, proactor.Other)
	f.stage = connected
	fd := w.mustInstall(f)
	f.record("spawn", 0)
	return fd
}

// Exit ends the child behind pidfd.
func (w *World) Exit(pidfd int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.must(pidfd, "Exit")
	f.exited = true
	f.record("exit", 0)
	f.touch()
	w.settle()
	w.rouse()
}

// tryWaitid is Waitid.
func (fl *flight) tryWaitid() {
	switch {
	case fl.file.kind != child:
		fl.fail(syscall.EBADF)
	case fl.file.exited:
		fl.finish(0)
	}
}
