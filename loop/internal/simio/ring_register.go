package simio

import (
	"syscall"
	"unsafe"
)

// Register implements uring.System.
func (s *system) Register(fd int, op uint32, arg unsafe.Pointer, n uint32) (int, syscall.Errno) {
	m := s.m
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.ring(fd)
	if r == nil {
		return 0, syscall.EBADF
	}
	switch op {
	case registerEnable:
		if !r.disabled {
			return 0, syscall.EBADFD
		}
		r.disabled = false
		return 0, 0
	case registerRingFDs:
		r.registered = true
		(*rsrcUpdate)(arg).offset = uint32(r.fd - firstRing)
		return 1, 0
	case unregisterRingFDs:
		r.registered = false
		return 1, 0
	case registerBufRing:
		return 0, r.addGroup((*bufReg)(arg))
	case unregisterBufRing:
		return 0, r.dropGroup((*bufReg)(arg).group)
	case registerSyncCancel:
		return 0, r.cancelNow((*syncCancel)(arg))
	case registerBuffers2, registerBuffersUpdate, unregisterBuffers:
		return r.registerMemory(op, arg)
	}
	return 0, syscall.EINVAL
}

// registerMemory makes, changes and drops the table of registered buffers.
func (r *ring) registerMemory(op uint32, arg unsafe.Pointer) (int, Errno) {
	switch {
	case op == registerBuffers2:
		reg := (*rsrcRegister)(arg)
		if reg.flags != 1 || reg.nr == 0 {
			return 0, syscall.EINVAL // only an empty table
		}
		if r.buffers != nil {
			return 0, syscall.EBUSY
		}
		r.buffers = make([]registration, reg.nr)
		return 0, 0
	case r.buffers == nil:
		return 0, syscall.ENXIO
	case op == unregisterBuffers:
		r.buffers = nil
		return 0, 0
	}
	update := (*rsrcUpdate2)(arg)
	if int(update.offset)+int(update.nr) > len(r.buffers) {
		return 0, syscall.EINVAL
	}
	for i, v := range unsafe.Slice((*iovec)(pointer(update.data)), update.nr) {
		r.buffers[int(update.offset)+i] = registration{v.base, v.len}
	}
	return int(update.nr), 0
}
