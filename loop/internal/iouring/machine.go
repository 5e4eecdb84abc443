package iouring

import (
	"time"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/sys"
	"github.com/sluice-net/sluice/uring"
	"golang.org/x/sys/unix"
)

// Machine is what an engine runs on: everything that it sees of the kernel. There
// are two: Linux, and the simulated one of package simio, on which the very same
// engine is tested.
type Machine interface {
	proactor.Kernel

	// System carries out the ring's operations; nil means Linux.
	System() uring.System

	// Eventfd creates a descriptor from which eight bytes are readable after write
	// was called, by any goroutine.
	Eventfd() (fd int, write func(), err error)

	// CloseEventfd closes it. write is no longer called by then.
	CloseEventfd(fd int)

	// IsFIFO reports whether fd is a pipe.
	IsFIFO(fd int) bool

	// Mmap returns zeroed memory outside of Go's heap, and Munmap takes it back.
	Mmap(n int) ([]byte, error)
	Munmap(b []byte) error

	// Now returns the time of the monotonic clock.
	Now() time.Duration

	// KernelCalls counts the calls of Kernel.
	KernelCalls() uint64
}

// linux is the real machine.
type linux struct{ sys.Kernel }

func (*linux) System() uring.System { return nil }

func (*linux) Eventfd() (int, func(), error) { return sys.Eventfd() }

func (*linux) CloseEventfd(fd int) { unix.Close(fd) }

func (*linux) IsFIFO(fd int) bool {
	var stat unix.Stat_t
	return unix.Fstat(fd, &stat) == nil && stat.Mode&unix.S_IFMT == unix.S_IFIFO
}

func (*linux) Mmap(n int) ([]byte, error) { return sys.Mmap(n) }

func (*linux) Munmap(b []byte) error { return sys.Munmap(b) }

func (*linux) Now() time.Duration { return sys.Monotonic() }

func (l *linux) KernelCalls() uint64 { return l.Calls }
