package sys

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Mmap returns size bytes of zeroed memory outside the Go heap, page-aligned,
// which take physical memory only as they are touched.
func Mmap(size int) ([]byte, error) {
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	return b, os.NewSyscallError("mmap", err)
}

// Munmap gives back what Mmap returned, whole.
func Munmap(b []byte) error { return os.NewSyscallError("munmap", unix.Munmap(b)) }

// Limit is a resource that setrlimit(2) bounds.
type Limit int

// The limits that a loop may meet.
const (
	LimitFiles  Limit = unix.RLIMIT_NOFILE  // descriptors
	LimitLocked Limit = unix.RLIMIT_MEMLOCK // bytes of locked memory
)

// Getrlimit returns the soft and the hard limit, for messages that say what to
// raise.
func Getrlimit(which Limit) (soft, hard uint64, err error) {
	var r unix.Rlimit
	err = unix.Getrlimit(int(which), &r)
	return r.Cur, r.Max, os.NewSyscallError("getrlimit", err)
}

// ThreadID returns the calling thread's id.
func ThreadID() int { return unix.Gettid() }

// start is read once; what is measured from it is monotonic and needs no
// system call.
var start = time.Now()

// Monotonic returns the time since the program started. It costs about 30 ns.
func Monotonic() time.Duration { return time.Since(start) }
