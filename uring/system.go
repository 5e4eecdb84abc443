//go:build linux

package uring

import (
	"syscall"
	"unsafe"

	iosys "github.com/iceber/iouring-go/syscall"
	"golang.org/x/sys/unix"
)

// Params is struct io_uring_params, for implementations of System.
type Params = iosys.IOURingParams

// System is all that a ring needs from the kernel: three system calls, and memory.
// Another implementation, set in Options.System, can carry out a ring's SQEs
// without Linux, for instance in plain memory and virtual time. Its methods are
// called on the goroutine that calls the ring's, and follow the manual pages; a
// call that fails returns its errno.
type System interface {
	// Setup is io_uring_setup(2). It fills in p and returns a descriptor.
	Setup(entries uint32, p *iosys.IOURingParams) (fd int, errno syscall.Errno)

	// Map is mmap(2) of a ring's memory at one of the IORING_OFF_* offsets. With fd
	// -1 it maps zeroed memory that belongs to no file, for the ring's own use: for
	// buffers, for their table, and for what SQEs point to.
	Map(fd int, offset int64, size int) (memory []byte, errno syscall.Errno)

	// Unmap releases what Map returned.
	Unmap(memory []byte) syscall.Errno

	// Enter is io_uring_enter(2). size is the size of what arg points to.
	Enter(fd int, submit, wait, flags uint32, arg unsafe.Pointer, size uintptr) (
		n int, errno syscall.Errno)

	// Register is io_uring_register(2).
	Register(fd int, op uint32, arg unsafe.Pointer, n uint32) (result int, errno syscall.Errno)

	// Close is close(2) of a ring's descriptor.
	Close(fd int) syscall.Errno
}

// linux calls the kernel. Ring.enterCall bypasses it where it can.
type linux struct{}

func (linux) Setup(entries uint32, p *iosys.IOURingParams) (int, syscall.Errno) {
	fd, err := iosys.IOURingSetup(uint(entries), p)
	if err != nil {
		return -1, errnoOf(err)
	}
	return fd, 0
}

func (linux) Map(fd int, offset int64, size int) ([]byte, syscall.Errno) {
	flags := unix.MAP_SHARED | unix.MAP_POPULATE
	if fd < 0 {
		// MAP_NORESERVE: memory that is never touched is never allocated.
		flags = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_NORESERVE
	}
	memory, err := unix.Mmap(fd, offset, size, unix.PROT_READ|unix.PROT_WRITE, flags)
	return memory, errnoOf(err)
}

func (linux) Unmap(memory []byte) syscall.Errno { return errnoOf(unix.Munmap(memory)) }

func (linux) Enter(fd int, submit, wait, flags uint32, arg unsafe.Pointer, size uintptr) (
	int, syscall.Errno,
) {
	n, _, errno := syscall.Syscall6(iosys.SYS_IO_URING_ENTER, uintptr(fd),
		uintptr(submit), uintptr(wait), uintptr(flags), uintptr(arg), size)
	return int(n), errno
}

func (linux) Register(fd int, op uint32, arg unsafe.Pointer, n uint32) (int, syscall.Errno) {
	result, _, errno := syscall.Syscall6(iosys.SYS_IO_URING_REGISTER,
		uintptr(fd), uintptr(op), uintptr(arg), uintptr(n), 0, 0)
	return int(result), errno
}

func (linux) Close(fd int) syscall.Errno { return errnoOf(unix.Close(fd)) }

// callError returns an *os.SyscallError, or nil if errno is 0.
func callError(name string, errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return syscallError(name, errno)
}
