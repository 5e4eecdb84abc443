//go:build linux

package uring

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// errnoError is a sentinel that wraps an errno, so that errors.Is finds both.
type errnoError struct {
	text  string
	errno syscall.Errno
}

func (e *errnoError) Error() string { return e.text }
func (e *errnoError) Unwrap() error { return e.errno }

// The errors that a Ring's methods return, besides *os.SyscallError.
var (
	// ErrTimeout: a wait timed out before enough completions arrived.
	ErrTimeout error = &errnoError{"uring: wait timed out", syscall.ETIME}
	// ErrBusy: the kernel cannot take SQEs at the moment, because memory is short
	// or because completions are waiting for room in the CQ. Nothing is lost: reap,
	// then submit again.
	ErrBusy error = &errnoError{"uring: kernel is busy, reap and submit again", syscall.EBUSY}
	// ErrDropped: the kernel had no memory for an overflowed completion and
	// discarded it. Ring.Overflow counts them. Since Linux 5.19; earlier kernels do
	// not report it.
	ErrDropped error = &errnoError{"uring: kernel dropped a completion", syscall.EBADR}
	// ErrDisabled: Enable has not been called yet.
	ErrDisabled error = &errnoError{"uring: ring is not enabled yet", syscall.EBADFD}
	// ErrWrongThread: a SINGLE_ISSUER ring was used from a thread other than the
	// one that enabled it. Keep its goroutine locked with runtime.LockOSThread.
	ErrWrongThread error = &errnoError{"uring: not the thread that enabled the ring",
		syscall.EEXIST}
	// ErrClosed: the ring is closed.
	ErrClosed = errors.New("uring: closed")
	// ErrSize: a count, size or index is outside the documented bounds.
	ErrSize error = &errnoError{"uring: size out of bounds", syscall.EINVAL}
	// ErrNotSupported: the kernel, its configuration or a sandbox refuses a
	// feature. It comes wrapped in a *NotSupportedError, which says which one and
	// why. It is errors.ErrUnsupported.
	ErrNotSupported = errors.ErrUnsupported
)

// NotSupportedError says which feature is missing, why, and what to do about it.
// errors.Is finds ErrNotSupported and the errno in it.
type NotSupportedError struct {
	Feature   string // one of Feature*
	Err       error  // an errno, or what was seen instead of the feature
	MinKernel string // "6.1": the first Linux that has it
	Remedy    string
}

// Error names the feature, the reason, the version and the remedy. If the reason is
// that memory could not be locked, the version does not matter, and the text is
// that of the MemlockError.
func (e *NotSupportedError) Error() string {
	if lock, ok := errors.AsType[*MemlockError](e.Err); ok {
		return lock.Error()
	}
	return fmt.Sprintf("uring: no %s: %v (since Linux %s; %s)",
		e.Feature, e.Err, e.MinKernel, e.Remedy)
}

// Is reports whether target is ErrNotSupported.
func (e *NotSupportedError) Is(target error) bool { return target == ErrNotSupported }

// Unwrap returns the reason.
func (e *NotSupportedError) Unwrap() error { return e.Err }

// MemlockError reports that RLIMIT_MEMLOCK does not allow what was asked for.
// errors.Is finds syscall.ENOMEM in it.
//
// Rings and buffer rings of unprivileged processes counted against the limit up to
// Linux 5.11 and do so again on some later kernels (measured on 6.16 to 7.0, not on
// 6.1, 6.12 and 7.3); registered buffers do on all. A closed ring's share is given
// back some time after Close.
type MemlockError struct {
	What  string // "ring", "buffer ring" or "registered buffers"
	Need  uint64 // bytes
	Limit uint64 // bytes, the soft limit
}

// Error says how much memory is needed and which limit to raise.
func (e *MemlockError) Error() string {
	return fmt.Sprintf("uring: lock memory for %s: need %d KiB more, RLIMIT_MEMLOCK is %s: "+
		"raise it (ulimit -l, LimitMEMLOCK=) or grant CAP_IPC_LOCK",
		e.What, (e.Need+1023)>>10, limitText(e.Limit))
}

// Unwrap returns syscall.ENOMEM.
func (e *MemlockError) Unwrap() error { return syscall.ENOMEM }

func limitText(limit uint64) string {
	if limit == ^uint64(0) {
		return "unlimited, so memory itself is short"
	}
	return fmt.Sprintf("%d KiB", limit>>10)
}

// remedy suggests a remedy for the reason why a feature is missing.
func remedy(err error) string {
	switch errnoOf(err) {
	case syscall.EPERM:
		return "allow io_uring in the container's seccomp profile, " +
			"and set sysctl kernel.io_uring_disabled=0"
	case syscall.EACCES:
		return "allow io_uring in the security policy: SELinux, AppArmor, seccomp"
	case syscall.ENOSYS:
		return "use a kernel with CONFIG_IO_URING, or allow its system calls in seccomp"
	case syscall.ENOMEM:
		return "raise RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK=)"
	case syscall.EMFILE, syscall.ENFILE:
		return "raise RLIMIT_NOFILE"
	case syscall.ENETUNREACH, syscall.EADDRNOTAVAIL:
		return "bring up the loopback interface"
	}
	return "use a newer kernel"
}

// errnoOf returns the errno in err, or 0 if there is none.
func errnoOf(err error) syscall.Errno {
	var errno syscall.Errno
	errors.As(err, &errno)
	return errno
}

func syscallError(name string, errno syscall.Errno) error {
	return os.NewSyscallError(name, errno)
}
