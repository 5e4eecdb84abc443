//go:build linux

package uring

import (
	"encoding/binary"
	"time"
	"unsafe"

	iosys "github.com/iceber/iouring-go/syscall"
)

// Constants that the kernel added after iouring-go/syscall was written, named as in
// linux/io_uring.h. The kernel version is the first that has the constant.
const (
	setupSingleIssuer uint32 = 1 << 12 // 6.0
	setupDeferTaskrun uint32 = 1 << 13 // 6.1
	setupNoSQArray    uint32 = 1 << 16 // 6.6

	featExtArg         uint32 = 1 << 8  // 5.11
	featRecvSendBundle uint32 = 1 << 14 // 6.10
	featNoIOWait       uint32 = 1 << 17 // 6.15

	enterExtArg         uint32 = 1 << 3 // 5.11
	enterRegisteredRing uint32 = 1 << 4 // 5.18
	enterNoIOWait       uint32 = 1 << 7 // 6.15

	sqTaskrun uint32 = 1 << 2 // 5.19

	opReadMultishot uint8 = 49 // 6.7
	opWaitid        uint8 = 50 // 6.7

	registerFiles2        uint32 = 13 // 5.13
	registerBuffers2      uint32 = 15 // 5.13
	registerBuffersUpdate uint32 = 16 // 5.13
	registerRingFDs       uint32 = 20 // 5.18
	unregisterRingFDs     uint32 = 21 // 5.18
	registerPBufRing      uint32 = 22 // 5.19
	unregisterPBufRing    uint32 = 23 // 5.19
	registerSyncCancel    uint32 = 24 // 6.0
	registerFileAllocRng  uint32 = 25 // 6.0

	rsrcRegisterSparse uint32 = 1 << 0 // 5.19
	pbufRingInc        uint16 = 2      // 6.12

	socketCmdSIOCINQ  uint64 = 0 // 6.5
	socketCmdSIOCOUTQ uint64 = 1 // 6.5
)

// Limits from the kernel's io_uring.c and kbuf.c.
const (
	entriesMax   = 32768
	cqEntriesMax = 2 * entriesMax
	buffersMax   = 1 << 15
)

// getEventsArg is struct io_uring_getevents_arg.
type getEventsArg struct {
	sigmask     uint64
	sigmaskSize uint32
	minWaitUsec uint32
	ts          uint64
}

// rsrcRegister is struct io_uring_rsrc_register.
type rsrcRegister struct {
	nr    uint32
	flags uint32
	resv  uint64
	data  uint64
	tags  uint64
}

// rsrcUpdate is struct io_uring_rsrc_update, of files and of ring descriptors.
type rsrcUpdate struct {
	offset uint32
	resv   uint32
	data   uint64
}

// rsrcUpdate2 is struct io_uring_rsrc_update2, of buffers.
type rsrcUpdate2 struct {
	offset uint32
	resv   uint32
	data   uint64
	tags   uint64
	nr     uint32
	resv2  uint32
}

// bufReg is struct io_uring_buf_reg.
type bufReg struct {
	ringAddr    uint64
	ringEntries uint32
	bgid        uint16
	flags       uint16
	resv        [3]uint64
}

// syncCancelReg is struct io_uring_sync_cancel_reg.
type syncCancelReg struct {
	addr    uint64
	fd      int32
	flags   uint32
	timeout Timespec
	opcode  uint8
	pad     [7]uint8
	pad2    [3]uint64
}

// fileIndexRange is struct io_uring_file_index_range.
type fileIndexRange struct {
	off  uint32
	len  uint32
	resv uint64
}

// Timespec is the kernel's struct __kernel_timespec: 64 bits on every
// architecture.
type Timespec struct {
	Sec  int64
	Nsec int64
}

// NewTimespec returns d, which must not be negative, as a Timespec.
func NewTimespec(d time.Duration) Timespec {
	return Timespec{Sec: int64(d / time.Second), Nsec: int64(d % time.Second)}
}

// The entries' sizes are those of iouring-go/syscall and the layouts are the
// kernel's: an array of a different length is a different type, so a mismatch does
// not compile.
var (
	_ [unsafe.Sizeof(SQE{})]struct{} = [unsafe.Sizeof(iosys.SubmissionQueueEntry64{})]struct{}{}
	_ [unsafe.Sizeof(CQE{})]struct{} = [unsafe.Sizeof(iosys.CompletionQueueEvent16{})]struct{}{}
	_ [64]struct{}                   = [unsafe.Sizeof(SQE{})]struct{}{}
	_ [4]struct{}                    = [unsafe.Offsetof(SQE{}.fd)]struct{}{}
	_ [8]struct{}                    = [unsafe.Offsetof(SQE{}.off)]struct{}{}
	_ [16]struct{}                   = [unsafe.Offsetof(SQE{}.addr)]struct{}{}
	_ [24]struct{}                   = [unsafe.Offsetof(SQE{}.len)]struct{}{}
	_ [28]struct{}                   = [unsafe.Offsetof(SQE{}.opFlags)]struct{}{}
	_ [32]struct{}                   = [unsafe.Offsetof(SQE{}.userData)]struct{}{}
	_ [40]struct{}                   = [unsafe.Offsetof(SQE{}.bufIndex)]struct{}{}
	_ [42]struct{}                   = [unsafe.Offsetof(SQE{}.personality)]struct{}{}
	_ [44]struct{}                   = [unsafe.Offsetof(SQE{}.fileIndex)]struct{}{}
	_ [48]struct{}                   = [unsafe.Offsetof(SQE{}.addr3)]struct{}{}
	_ [16]struct{}                   = [unsafe.Sizeof(CQE{})]struct{}{}
	_ [8]struct{}                    = [unsafe.Offsetof(CQE{}.Res)]struct{}{}
	_ [12]struct{}                   = [unsafe.Offsetof(CQE{}.Flags)]struct{}{}
	_ [120]struct{}                  = [unsafe.Sizeof(iosys.IOURingParams{})]struct{}{}
	_ [24]struct{}                   = [unsafe.Sizeof(getEventsArg{})]struct{}{}
	_ [32]struct{}                   = [unsafe.Sizeof(rsrcRegister{})]struct{}{}
	_ [16]struct{}                   = [unsafe.Sizeof(rsrcUpdate{})]struct{}{}
	_ [32]struct{}                   = [unsafe.Sizeof(rsrcUpdate2{})]struct{}{}
	_ [16]struct{}                   = [unsafe.Sizeof(bufEntry{})]struct{}{}
	_ [14]struct{}                   = [unsafe.Offsetof(bufEntry{}.resv)]struct{}{}
	_ [40]struct{}                   = [unsafe.Sizeof(bufReg{})]struct{}{}
	_ [64]struct{}                   = [unsafe.Sizeof(syncCancelReg{})]struct{}{}
	_ [16]struct{}                   = [unsafe.Sizeof(fileIndexRange{})]struct{}{}
)

// bigEndian matters where two fields share a word, and for the poll mask.
var bigEndian = binary.NativeEndian.Uint16([]byte{0, 1}) == 1

// escape makes address keep its argument off the stack: always is false, but the
// compiler does not know that.
var escape struct {
	always bool
	sink   unsafe.Pointer
}

// address returns p as the number that the kernel expects. It makes what p points
// to escape to the heap: an SQE holds addresses as numbers, so one that pointed to
// a goroutine's stack would become stale when the stack moves.
func address(p unsafe.Pointer) uint64 {
	if escape.always {
		escape.sink = p
	}
	return uint64(uintptr(p))
}
