//go:build linux

package uring

import (
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	iosys "github.com/iceber/iouring-go/syscall"
)

// Submit hands the prepared SQEs to the kernel and returns how many it took. It
// never blocks. If nothing is prepared it makes no system call, except to collect
// completions that wait inside the kernel, if there are any.
//
// Errors: ErrBusy, ErrDropped, ErrDisabled, ErrWrongThread, ErrClosed. None of them
// loses an SQE: those not taken stay Pending. A signal is not an error.
func (r *Ring) Submit() (int, error) {
	flags := uint32(0)
	if atomic.LoadUint32(r.sqFlags)&(sqTaskrun|sqCQOverflow) != 0 {
		flags = enterGetEvents
	}
	pending := r.publish()
	if pending == 0 && flags == 0 {
		return 0, r.usable()
	}
	return r.enter(pending, 0, flags, false)
}

// EnterNB submits all prepared SQEs and processes the completions that the kernel
// has ready. It always makes exactly one system call, which never blocks. Errors
// are those of Submit.
func (r *Ring) EnterNB() (int, error) {
	return r.enter(r.publish(), 0, enterGetEvents, false)
}

// SubmitAndWait submits all prepared SQEs and waits until n completions are Ready
// or timeout has passed; a negative timeout waits forever, 0 does not block. It
// returns how many SQEs were taken. If n are already Ready and nothing is prepared
// it makes no system call.
//
// A nil error does not guarantee n completions: a signal ends the wait early (Go
// sends SIGURG to preempt goroutines), and so does a submission that the kernel did
// not take in full. ErrTimeout is returned only if nothing was submitted in the
// same call: the kernel reports one or the other. Otherwise it behaves like Submit.
//
// A call that waits lets other goroutines run; one that cannot block does not
// involve the scheduler. At most CQEntries completions can be waited for.
func (r *Ring) SubmitAndWait(n uint32, timeout time.Duration) (int, error) {
	pending := r.publish()
	if n == 0 || timeout == 0 || uint32(r.Ready()) >= n {
		idle := pending == 0 && atomic.LoadUint32(r.sqFlags)&(sqTaskrun|sqCQOverflow) == 0
		if idle && n != 0 && uint32(r.Ready()) >= n {
			return 0, r.usable()
		}
		return r.enter(pending, 0, enterGetEvents, false)
	}
	return r.enter(pending, n, enterGetEvents|r.until(timeout), true)
}

// Wait submits nothing and waits until n completions are Ready or timeout has
// passed; a negative timeout waits forever. With n or timeout 0 it does not block:
// it collects the completions that wait inside the kernel, including those that did
// not fit into the CQ, as far as there is room. Errors are those of SubmitAndWait;
// a signal ends the wait early, with a nil error.
func (r *Ring) Wait(n uint32, timeout time.Duration) error {
	if n == 0 || timeout == 0 {
		_, err := r.enter(0, 0, enterGetEvents, false)
		return err
	}
	_, err := r.enter(0, n, enterGetEvents|r.until(timeout), true)
	return err
}

// until stores the timeout of a wait (negative means forever) and returns the flags
// for it.
func (r *Ring) until(timeout time.Duration) uint32 {
	if timeout < 0 {
		return r.waitFlags
	}
	r.ts = NewTimespec(timeout)
	return r.waitFlags | enterExtArg
}

// publish makes the prepared SQEs visible to the kernel and returns their number.
func (r *Ring) publish() uint32 {
	atomic.StoreUint32(r.sqTailPub, r.sqTail)
	return r.sqTail - atomic.LoadUint32(r.sqHead)
}

// enter is io_uring_enter. Only a call that may block goes through the scheduler's
// hand-off, which costs 80 to 110 ns; a raw one that blocked would hold the P and
// keep the garbage collector waiting.
func (r *Ring) enter(submit, wait, flags uint32, block bool) (int, error) {
	if r.state != ringEnabled {
		return 0, r.usable()
	}
	r.stats.Enters++
	if atomic.LoadUint32(r.sqFlags)&sqCQOverflow != 0 && flags&enterGetEvents != 0 {
		r.stats.Overflows++
	}
	flags |= r.enterFlags
	if block {
		r.stats.Blocking++
	}
	n, errno := r.enterCall(submit, wait, flags, block)
	r.taken()
	if errno != 0 {
		return 0, r.enterError(errno)
	}
	if submit == 0 {
		return 0, nil // n counts something else then
	}
	r.stats.Submitted += uint64(n)
	return n, nil
}

// enterCall makes the call, on Linux directly.
func (r *Ring) enterCall(submit, wait, flags uint32, block bool) (int, syscall.Errno) {
	var arg unsafe.Pointer
	var size uintptr
	if flags&enterExtArg != 0 {
		arg, size = unsafe.Pointer(&r.arg), unsafe.Sizeof(r.arg)
	}
	if block || r.simulated {
		return r.system.Enter(r.enterFD, submit, wait, flags, arg, size)
	}
	n, _, errno := syscall.RawSyscall6(iosys.SYS_IO_URING_ENTER, uintptr(r.enterFD),
		uintptr(submit), uintptr(wait), uintptr(flags), uintptr(arg), size)
	return int(n), errno
}

// enterError distinguishes errnos that are not errors, transient errors, and
// mistakes of the caller.
func (r *Ring) enterError(errno syscall.Errno) error {
	switch errno {
	case syscall.EINTR:
		r.stats.Interrupts++
		return nil
	case syscall.ETIME:
		r.stats.Timeouts++
		return ErrTimeout
	case syscall.EBUSY, syscall.EAGAIN, syscall.ENOMEM:
		r.stats.Busy++
		r.flush()
		return ErrBusy
	case syscall.EBADR:
		return ErrDropped
	case syscall.EBADFD:
		return ErrDisabled
	case syscall.EEXIST, syscall.EINVAL, syscall.EBADF:
		// The index of a registered descriptor means nothing on another thread.
		if !r.onOwner() {
			return ErrWrongThread
		}
	}
	return syscallError("io_uring_enter", errno)
}

// flush collects completions that overflowed, so that reaping makes progress. The
// next enter collects any that it cannot.
func (r *Ring) flush() {
	r.stats.Enters++
	_, _ = r.enterCall(0, 0, enterGetEvents|r.enterFlags, false)
}

// usable returns why a ring that is not enabled cannot be used.
func (r *Ring) usable() error {
	switch r.state {
	case ringDisabled:
		return ErrDisabled
	case ringClosed:
		return ErrClosed
	}
	return nil
}
