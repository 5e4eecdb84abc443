//go:build linux

package uring

import (
	"unsafe"

	iosys "github.com/iceber/iouring-go/syscall"
	"golang.org/x/sys/unix"
)

// PrepRead is pread(2) into buf, which belongs to the kernel until the completion;
// with CurrentOffset it is read(2). On a socket, a pipe or the like it waits for
// data. Since Linux 5.6.
func (s *SQE) PrepRead(fd int, buf []byte, offset uint64) {
	s.prep(iosys.IORING_OP_READ, fd, bytesAddr(buf), bytesLen(buf), offset)
}

// PrepWrite is pwrite(2); with CurrentOffset it is write(2). Since Linux 5.6.
func (s *SQE) PrepWrite(fd int, buf []byte, offset uint64) {
	s.prep(iosys.IORING_OP_WRITE, fd, bytesAddr(buf), bytesLen(buf), offset)
}

// PrepReadFixed is PrepRead into the registered buffer index, of which buf must be
// a part: EFAULT if it is not, or if nothing is registered there. Since Linux 5.1.
func (s *SQE) PrepReadFixed(fd int, buf []byte, offset uint64, index int) {
	s.prep(iosys.IORING_OP_READ_FIXED, fd, bytesAddr(buf), bytesLen(buf), offset)
	s.bufIndex = uint16(index)
}

// PrepWriteFixed is PrepWrite from the registered buffer index, of which buf must
// be a part. Since Linux 5.1.
func (s *SQE) PrepWriteFixed(fd int, buf []byte, offset uint64, index int) {
	s.prep(iosys.IORING_OP_WRITE_FIXED, fd, bytesAddr(buf), bytesLen(buf), offset)
	s.bufIndex = uint16(index)
}

// PrepReadv is preadv2(2). vecs must stay in place until the submission, the memory
// that they point to until the completion. Since Linux 5.1.
func (s *SQE) PrepReadv(fd int, vecs []unix.Iovec, offset uint64) {
	s.prep(iosys.IORING_OP_READV, fd, vecsAddr(vecs), uint32(len(vecs)), offset)
}

// PrepWritev is pwritev2(2); vecs are as for PrepReadv. Since Linux 5.1.
func (s *SQE) PrepWritev(fd int, vecs []unix.Iovec, offset uint64) {
	s.prep(iosys.IORING_OP_WRITEV, fd, vecsAddr(vecs), uint32(len(vecs)), offset)
}

// PrepReadMultishot reads repeatedly from something that can be polled, such as a
// pipe, each time into another provided buffer of group; otherwise it is like
// PrepRecvMultishot. Not for regular files (EBADFD). Since Linux 6.7.
func (s *SQE) PrepReadMultishot(fd int, group uint16, offset uint64) {
	s.prep(opReadMultishot, fd, 0, 0, offset)
	s.flags = BufferSelect
	s.bufIndex = group
}

// PrepSplice is splice(2): it moves up to n bytes from one descriptor to another,
// one of which must be a pipe. The offset of a pipe is -1, as is that of a file to
// be used at its own position. flags is SPLICE_F_*. FixedFile makes fdOut an
// index of RegisterFiles. A kernel worker carries it out. Since Linux 5.7.
func (s *SQE) PrepSplice(fdIn int, offIn int64, fdOut int, offOut int64, n uint32, flags int) {
	s.prep(iosys.IORING_OP_SPLICE, fdOut, uint64(offIn), n, uint64(offOut))
	s.fileIndex = uint32(int32(fdIn))
	s.opFlags = uint32(flags)
}

// PrepFilesUpdate sets slots of RegisterFiles from offset on, each to a descriptor,
// or to -1 to empty the slot. The kernel keeps its own reference to each file. fds
// must stay in place until the completion. Res is how many were set. Since Linux
// 5.6.
func (s *SQE) PrepFilesUpdate(fds []int32, offset int) {
	addr := address(unsafe.Pointer(unsafe.SliceData(fds)))
	s.prep(iosys.IORING_OP_FILES_UPDATE, -1, addr, uint32(len(fds)), uint64(offset))
}

// PrepWaitid is waitid(2): it waits for a child without occupying a thread. idType
// is P_PID, P_PIDFD, P_PGID or P_ALL; options is WEXITED, WNOHANG, …; flags is 0.
// The kernel writes to info, which may be nil, until the completion. Since Linux
// 6.7.
func (s *SQE) PrepWaitid(idType, id int, info *unix.Siginfo, options int, flags uint32) {
	s.prep(opWaitid, id, 0, uint32(idType), address(unsafe.Pointer(info)))
	s.fileIndex = uint32(options)
	s.opFlags = flags
}

func bytesAddr(b []byte) uint64 { return address(unsafe.Pointer(unsafe.SliceData(b))) }

// bytesLen returns the length of b, limited to lenMax: a longer transfer becomes a
// short one.
func bytesLen(b []byte) uint32 { return uint32(min(len(b), lenMax)) }

// lenMax is MAX_RW_COUNT, the most that the kernel moves in one call.
const lenMax = 1<<31 - 1<<12

func vecsAddr(v []unix.Iovec) uint64 { return address(unsafe.Pointer(unsafe.SliceData(v))) }
