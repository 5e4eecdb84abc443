package sys

import (
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The states of a Waker. A write may come late, when the loop is awake again: it then
// ends one sleep early, which a loop must expect anyway.
//
//	awake --Sleep--> sleeping --Wake: write--> signalled --Awake--> awake
//	                 sleeping --Awake--> awake
//	awake --Wake--> notified --Sleep: refused, Awake--> awake
const (
	awake uint32 = iota
	notified
	sleeping
	signalled
)

// Waker ends a loop's sleep from any goroutine. It writes to its eventfd only
// when the loop sleeps, because a write costs its caller some microseconds.
type Waker struct {
	state  atomic.Uint32
	writes atomic.Uint64

	mu     sync.Mutex // keeps Close from a write in progress
	fd     int
	signal func() // makes the descriptor readable
	shut   func(fd int)
	closed bool
}

// OpenOn uses a descriptor that signal, called by any goroutine, makes readable, and
// that shut closes.
func (w *Waker) OpenOn(fd int, signal func(), shut func(fd int)) {
	w.fd, w.signal, w.shut = fd, signal, shut
}

// Eventfd makes an eventfd, close-on-exec and non-blocking, and a function that makes
// it readable.
func Eventfd() (fd int, signal func(), err error) {
	fd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return -1, nil, os.NewSyscallError("eventfd2", err)
	}
	return fd, func() { addOne(fd) }, nil
}

// DrainEventfd makes an eventfd unreadable.
func DrainEventfd(fd int) {
	var count uint64
	unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&count)), 8)
}

func addOne(fd int) {
	one := uint64(1)
	for {
		_, _, e := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd),
			uintptr(unsafe.Pointer(&one)), 8)
		if e != syscall.EINTR {
			return
		}
	}
}

// FD returns the eventfd. The engine watches it for POLLIN and drains it when it is
// readable.
func (w *Waker) FD() int { return w.fd }

// Writes returns how many wake-ups needed a write. Any goroutine may call it.
func (w *Waker) Writes() uint64 { return w.writes.Load() }

// Wake ends the loop's sleep, or refuses its next one. Any goroutine may call it, even
// during and after Close, when it does nothing.
func (w *Waker) Wake() {
	for {
		switch s := w.state.Load(); s {
		case awake:
			if w.state.CompareAndSwap(awake, notified) {
				return
			}
		case sleeping:
			if w.state.CompareAndSwap(sleeping, signalled) {
				w.write()
				return
			}
		default:
			return
		}
	}
}

// Sleep announces that the loop is about to sleep. It returns false if there
// was a Wake since the last Awake: then the loop must not sleep. The loop calls
// Awake afterwards in either case.
func (w *Waker) Sleep() bool { return w.state.CompareAndSwap(awake, sleeping) }

// Awake ends what Sleep announced, and forgets Wakes before it. What the
// goroutine that woke the loop did before Wake is visible after Awake.
func (w *Waker) Awake() { w.state.Swap(awake) }

// Close closes the eventfd. The loop no longer uses it.
func (w *Waker) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.closed = true
		w.shut(w.fd)
	}
}

// write holds the mutex, so that the number cannot be somebody else's
// descriptor by now.
func (w *Waker) write() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.writes.Add(1)
	w.signal()
}
