//go:build linux

package uring

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// errnoError is a sentinel with an errno in it, so that errors.Is finds both.
type errnoError struct {
	text  string
	errno syscall.Errno
}

func (e *errnoError) Error() string { return e.text }
func (e *errnoError) Unwrap() error { return e.errno }

// What a Ring's methods return, besides *os.SyscallError.
var (
	// ErrTimeout: the time of a wait passed before enough completions came.
	ErrTimeout error = &errnoError{"uring: wait timed out", syscall.ETIME}
	// ErrBusy: the kernel takes no SQEs just now, for want of memory or because
	// completions wait for room in the CQ. Nothing is lost: reap, then submit
	// again.
	ErrBusy error = &errnoError{"uring: kernel is busy, reap and submit again", syscall.EBUSY}
	// ErrDropped: the kernel had no memory for an overflowed completion and threw
	// it away. Ring.Overflow counts them. Since Linux 5.19; earlier it was silent.
	ErrDropped error = &errnoError{"uring: kernel dropped a completion", syscall.EBADR}
	// ErrDisabled: Enable has not been called yet.
	ErrDisabled error = &errnoError{"uring: ring is not enabled yet", syscall.EBADFD}
	// ErrWrongThread: a SINGLE_ISSUER ring was used from a thread that is not the
	// one that enabled it. Keep its goroutine locked with runtime.LockOSThread.
	ErrWrongThread error = &errnoError{"uring: not the thread that enabled the ring",
		syscall.EEXIST}
	// ErrClosed: the ring is closed.
	ErrClosed = errors.New("uring: closed")
	// ErrSize: a count, size or index is out of the documented bounds.
	ErrSize error = &errnoError{"uring: size out of bounds", syscall.EINVAL}
	// ErrNotSupported: the kernel, its configuration or a sandbox refuses a
	// feature. It comes wrapped in a *NotSupportedError, which says which and why, and
	// is errors.ErrUnsupported.
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

// Error names the feature, the reason, the version and the remedy. Want of memory that
// may be locked is no want of a version, and says its own remedy.
func (e *NotSupportedError) Error() string {
	if lock, ok := errors.AsType[*MemlockError](e.Err); ok {
		return lock.Error()
	}
	return fmt.Sprintf("uring: no %s: %v (since Linux %s; %s)",
		e.Feature, e.Err, e.MinKernel, e.Remedy)
}

// Is matches ErrNotSupported.
func (e *NotSupportedError) Is(target error) bool { return target == ErrNotSupported }

// Unwrap is the reason.
func (e *NotSupportedError) Unwrap() error { return e.Err }

// MemlockError says that RLIMIT_MEMLOCK does not allow what was asked for.
// errors.Is finds syscall.ENOMEM in it.
//
// Rings and buffer rings of unprivileged processes were counted up to Linux
// 5.11 and are again on some later kernels (measured on 6.16 to 7.0, not on
// 6.1, 6.12 and 7.3); registered buffers are on all. A closed ring's share is
// given back some time after Close.
type MemlockError struct {
	What  string // "ring", "buffer ring" or "registered buffers"
	Need  uint64 // bytes
	Limit uint64 // bytes, the soft limit
}

// Error says what to raise, and what is needed.
func (e *MemlockError) Error() string {
	return fmt.Sprintf("uring: lock memory for %s: need %d KiB more, RLIMIT_MEMLOCK is %s: "+
		"raise it (ulimit -l, LimitMEMLOCK=) or grant CAP_IPC_LOCK",
		e.What, (e.Need+1023)>>10, limitText(e.Limit))
}

// Unwrap is syscall.ENOMEM.
func (e *MemlockError) Unwrap() error { return syscall.ENOMEM }

func limitText(limit uint64) string {
	if limit == ^uint64(0) {
		return "unlimited, so memory itself is short"
	}
	return fmt.Sprintf("%d KiB", limit>>10)
}

// remedy says what helps against the reason why a feature is missing.
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

// errnoOf is the errno in err, 0 if there is none.
func errnoOf(err error) syscall.Errno {
	var errno syscall.Errno
	errors.As(err, &errno)
	return errno
}

func syscallError(name string, errno syscall.Errno) error {
	return os.NewSyscallError(name, errno)
}
