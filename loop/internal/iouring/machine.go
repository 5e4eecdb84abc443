package iouring

import (
	"time"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/loop/internal/sys"
	"github.com/sluice-net/sluice/uring"
	"golang.org/x/sys/unix"
)

// Machine is what an engine runs on: all of the kernel that it sees. There are two,
// Linux, and the simulated one of package simio, on which the very same engine is
// tested.
type Machine interface {
	proactor.Kernel

	// System carries out the ring; nil is Linux.
	System() uring.System

	// Eventfd makes a descriptor that is readable, eight bytes, after write was
	// called, by any goroutine.
	Eventfd() (fd int, write func(), err error)

	// CloseEventfd closes it. Nobody calls write any more.
	CloseEventfd(fd int)

	// IsFIFO reports whether fd is a pipe.
	IsFIFO(fd int) bool

	// Mmap returns zeroed memory outside of Go's heap, and Munmap takes it back.
	Mmap(n int) ([]byte, error)
	Munmap(b []byte) error

	// Now is the monotonic clock.
	Now() time.Duration

	// KernelCalls counts the calls of Kernel.
	KernelCalls() uint64
}

// linux is the machine that is there.
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
