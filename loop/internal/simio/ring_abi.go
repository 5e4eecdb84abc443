package simio

import "unsafe"

// The layout and the numbers of linux/io_uring.h, as far as the ring knows them.

// sqe is struct io_uring_sqe.
type sqe struct {
	opcode      uint8
	flags       uint8
	ioprio      uint16
	fd          int32
	off         uint64
	addr        uint64
	len         uint32
	opFlags     uint32
	userData    uint64
	buf         uint16 // an index, or a group
	personality uint16
	file        uint32 // file_index, or in the lower half addr_len
	addr3       uint64
	pad         uint64
}

// cqe is struct io_uring_cqe.
type cqe struct {
	userData uint64
	res      int32
	flags    uint32
}

const (
	sqeSize = int(unsafe.Sizeof(sqe{}))
	cqeSize = int(unsafe.Sizeof(cqe{}))
)

// The opcodes.
const (
	opNop        = 0
	opWritev     = 2
	opReadFixed  = 4
	opPollAdd    = 6
	opPollRemove = 7
	opSendMsg    = 9
	opRecvMsg    = 10
	opAccept     = 13
	opCancel     = 14
	opConnect    = 16
	opRead       = 22
	opWrite      = 23
	opSend       = 26
	opRecv       = 27
	opWaitid     = 50
)

// The flags of an SQE.
const (
	sqeLink     = 1 << 2
	sqeHardlink = 1 << 3
	sqeAsync    = 1 << 4
	sqeSelect   = 1 << 5
	sqeSkip     = 1 << 6

	pollFirst     = 1 << 0 // ioprio
	recvMultishot = 1 << 1
	acceptMulti   = 1 << 0

	pollMulti = 1 << 0 // len of POLL_ADD
	pollEdge  = 1 << 31

	cancelAll = 1 << 0
	cancelFD  = 1 << 1
	cancelAny = 1 << 2
)

// The flags of a CQE.
const (
	cqeBuffer   = 1 << 0
	cqeMore     = 1 << 1
	cqeNonEmpty = 1 << 2
)

// The flags of the SQ ring that the kernel sets.
const (
	sqOverflow = 1 << 1
	sqTaskrun  = 1 << 2
)

// Setup, enter, register.
const (
	setupCQSize   = 1 << 3
	setupDisabled = 1 << 6
	setupKnown    = setupCQSize | setupDisabled | 1<<7 | 1<<8 | 1<<9 | setupSingle |
		setupDefer | setupNoArray
	setupSingle  = 1 << 12
	setupDefer   = 1 << 13
	setupNoArray = 1 << 16

	// NODROP, SUBMIT_STABLE, RW_CUR_POS, FAST_POLL, POLL_32BITS, EXT_ARG, CQE_SKIP.
	featuresKnown = 1<<0 | 1<<1 | 1<<2 | 1<<3 | 1<<5 | 1<<6 | 1<<8 | 1<<11

	enterGetEvents  = 1 << 0
	enterExtArg     = 1 << 3
	enterRegistered = 1 << 4
	enterKnown      = enterGetEvents | enterExtArg | enterRegistered | 1<<7

	registerEnable        = 12
	registerBuffers       = 0
	unregisterBuffers     = 1
	registerBuffers2      = 15
	registerBuffersUpdate = 16
	registerRingFDs       = 20
	unregisterRingFDs     = 21
	registerBufRing       = 22
	unregisterBufRing     = 23
	registerSyncCancel    = 24

	offsetRings = 0
	offsetSQEs  = 0x10000000
)

// The flags of messages that sends and receives know.
const (
	msgTrunc    = 0x20
	msgDontWait = 0x40
	msgWaitAll  = 0x100
	msgNoSignal = 0x4000
)

// getEventsArg is struct io_uring_getevents_arg.
type getEventsArg struct {
	sigmask     uint64
	sigmaskSize uint32
	minWait     uint32
	ts          uint64
}

// timespec is struct __kernel_timespec.
type timespec struct{ sec, nsec int64 }

// bufEntry is struct io_uring_buf. In entry 0 resv is the tail.
type bufEntry struct {
	addr uint64
	len  uint32
	bid  uint16
	resv uint16
}

// bufReg is struct io_uring_buf_reg.
type bufReg struct {
	addr    uint64
	entries uint32
	group   uint16
	flags   uint16
	resv    [3]uint64
}

// rsrcUpdate is struct io_uring_rsrc_update, of ring descriptors.
type rsrcUpdate struct {
	offset, resv uint32
	data         uint64
}

// rsrcUpdate2 is struct io_uring_rsrc_update2, of buffers.
type rsrcUpdate2 struct {
	offset, resv uint32
	data, tags   uint64
	nr, resv2    uint32
}

// rsrcRegister is struct io_uring_rsrc_register.
type rsrcRegister struct {
	nr, flags        uint32
	resv, data, tags uint64
}

// syncCancel is struct io_uring_sync_cancel_reg.
type syncCancel struct {
	addr  uint64
	fd    int32
	flags uint32
	ts    timespec
	rest  [4]uint64
}

// iovec and msghdr are those of <sys/uio.h> and <sys/socket.h>, 64 bits.
type iovec struct{ base, len uint64 }

type msghdr struct {
	name       uint64
	nameLen    uint32
	_          uint32
	iov        uint64
	iovLen     uint64
	control    uint64
	controlLen uint64
	flags      int32
	_          uint32
}
