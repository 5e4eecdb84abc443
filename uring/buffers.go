//go:build linux

package uring

import (
	"runtime"
	"syscall"
	"unsafe"

	iosys "github.com/iceber/iouring-go/syscall"
	"golang.org/x/sys/unix"
)

// RegisterBuffers pins bufs, so that PrepReadFixed, PrepWriteFixed and
// PrepSendZCFixed, which name a buffer by its index, need not pin pages each time.
// There can be only one table at a time: EBUSY. The ring keeps bufs reachable until
// UnregisterBuffers. They count against RLIMIT_MEMLOCK, in whole pages.
//
// Errors: ErrSize, *MemlockError, ErrClosed, ErrWrongThread, *os.SyscallError.
// Since Linux 5.1; without waiting for operations in flight, since 5.13.
func (r *Ring) RegisterBuffers(bufs [][]byte) error {
	if len(bufs) == 0 {
		return ErrSize
	}
	vecs := vectors(bufs)
	op := uint32(iosys.IORING_REGISTER_BUFFERS)
	_, err := r.register(op, unsafe.Pointer(&vecs[0]), uint32(len(vecs)))
	runtime.KeepAlive(bufs)
	if err != nil {
		return buffersError(err, bufs)
	}
	r.buffers = append([][]byte(nil), bufs...)
	return nil
}

// RegisterBuffersSparse registers an empty table of n buffers, up to 16384, to be
// filled by UpdateBuffers. Errors are those of RegisterBuffers. Since Linux 5.19.
func (r *Ring) RegisterBuffersSparse(n int) error {
	if n < 1 || n > 1<<14 {
		return ErrSize
	}
	reg := rsrcRegister{nr: uint32(n), flags: rsrcRegisterSparse}
	_, err := r.register(registerBuffers2, unsafe.Pointer(&reg), uint32(unsafe.Sizeof(reg)))
	if err != nil {
		return err
	}
	r.buffers = make([][]byte, n)
	return nil
}

// UpdateBuffers replaces the registered buffers from offset on; an empty slice
// empties its slot. Operations in flight keep the old buffers pinned until they
// complete. Errors are those of RegisterBuffers; even then, the first of bufs may
// have been replaced. Since Linux 5.13.
func (r *Ring) UpdateBuffers(offset uint32, bufs [][]byte) error {
	if len(bufs) == 0 || int(offset)+len(bufs) > len(r.buffers) {
		return ErrSize
	}
	vecs := vectors(bufs)
	update := rsrcUpdate2{
		offset: offset,
		data:   address(unsafe.Pointer(&vecs[0])),
		nr:     uint32(len(vecs)),
	}
	n, err := r.register(registerBuffersUpdate, unsafe.Pointer(&update),
		uint32(unsafe.Sizeof(update)))
	runtime.KeepAlive(vecs)
	if err != nil {
		return buffersError(err, bufs)
	}
	copy(r.buffers[offset:], bufs[:n])
	if n < len(bufs) {
		return syscallError("io_uring_register", syscall.EFAULT)
	}
	return nil
}

// UnregisterBuffers removes the table. Since Linux 5.1.
func (r *Ring) UnregisterBuffers() error {
	_, err := r.register(uint32(iosys.IORING_UNREGISTER_BUFFERS), nil, 0)
	if err == nil {
		r.buffers = nil
	}
	return err
}

func vectors(bufs [][]byte) []unix.Iovec {
	vecs := make([]unix.Iovec, len(bufs))
	for i, b := range bufs {
		if len(b) > 0 {
			vecs[i].Base = &b[0]
			vecs[i].SetLen(len(b))
		}
	}
	return vecs
}

// buffersError names the limit if memory could not be locked.
func buffersError(err error, bufs [][]byte) error {
	if errnoOf(err) != syscall.ENOMEM {
		return err
	}
	need := uint64(0)
	for _, b := range bufs {
		need += pages(uint64(len(b)))
	}
	return memlockError("registered buffers", need)
}
