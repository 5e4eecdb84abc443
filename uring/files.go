//go:build linux

package uring

import (
	"runtime"
	"syscall"
	"time"
	"unsafe"

	iosys "github.com/iceber/iouring-go/syscall"
)

// RegisterFiles registers an empty table of n slots for direct descriptors: files
// that only this ring knows. UpdateFiles or a Direct operation fills a slot,
// FixedFile uses it, PrepCloseDirect empties it. There can be only one table at a
// time: EBUSY. n is limited by RLIMIT_NOFILE: EMFILE.
//
// Errors: ErrSize, ErrClosed, ErrWrongThread, *os.SyscallError. Since Linux 5.5; in
// one small call, since 5.19.
func (r *Ring) RegisterFiles(n int) error {
	if n < 1 || n > 1<<20 {
		return ErrSize
	}
	reg := rsrcRegister{nr: uint32(n), flags: rsrcRegisterSparse}
	_, err := r.register(registerFiles2, unsafe.Pointer(&reg), uint32(unsafe.Sizeof(reg)))
	if errnoOf(err) != syscall.EINVAL {
		return err
	}
	empty := make([]int32, n)
	for i := range empty {
		empty[i] = -1
	}
	op := uint32(iosys.IORING_REGISTER_FILES)
	_, err = r.register(op, unsafe.Pointer(&empty[0]), uint32(n))
	return err
}

// UpdateFiles sets the slots from offset on, each to a descriptor, or to -1 to
// empty the slot. The kernel takes a reference of its own, so the descriptor may be
// closed afterwards. Since Linux 5.5.
func (r *Ring) UpdateFiles(offset uint32, fds []int32) error {
	if len(fds) == 0 {
		return ErrSize
	}
	update := rsrcUpdate{offset: offset, data: address(unsafe.Pointer(&fds[0]))}
	op := uint32(iosys.IORING_REGISTER_FILES_UPDATE)
	n, err := r.register(op, unsafe.Pointer(&update), uint32(len(fds)))
	runtime.KeepAlive(fds)
	if err == nil && n < len(fds) {
		return syscallError("io_uring_register", syscall.EBADF)
	}
	return err
}

// UnregisterFiles removes the table and closes the files that only it held open.
// Since Linux 5.1.
func (r *Ring) UnregisterFiles() error {
	_, err := r.register(uint32(iosys.IORING_UNREGISTER_FILES), nil, 0)
	return err
}

// RegisterFileRange restricts the slots that the kernel picks by itself to the n
// from offset on. Since Linux 6.0.
func (r *Ring) RegisterFileRange(offset, n uint32) error {
	reg := fileIndexRange{off: offset, len: n}
	_, err := r.register(registerFileAllocRng, unsafe.Pointer(&reg), 0)
	return err
}

// SyncCancel cancels as PrepCancel does, or, with CancelFD in flags, as
// PrepCancelFD does, and returns only when what it matched is no longer running, or
// after timeout; a negative timeout waits forever, 0 does not wait. It returns how
// many operations were cancelled, as far as the kernel reports it. Their
// completions arrive with the next enter.
//
// Errors: *os.SyscallError with ENOENT: nothing matched; ETIME: timeout; EALREADY:
// still running with timeout 0; EINTR: a signal. ErrClosed, ErrWrongThread. Since
// Linux 6.0.
func (r *Ring) SyncCancel(
	userData uint64, fd int, flags uint32, timeout time.Duration,
) (int, error) {
	reg := syncCancelReg{
		addr:    userData,
		fd:      int32(fd),
		flags:   flags,
		timeout: Timespec{Sec: -1, Nsec: -1},
	}
	if timeout >= 0 {
		reg.timeout = NewTimespec(timeout)
	}
	return r.register(registerSyncCancel, unsafe.Pointer(&reg), 1)
}
