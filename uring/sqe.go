//go:build linux

package uring

import (
	"unsafe"

	iosys "github.com/iceber/iouring-go/syscall"
)

// SQE is an operation to be submitted. Ring.SQE lends one; it must be filled in by
// a Prep method before the next Submit, and must not be touched after that.
//
// Each Prep method resets the whole entry, so SetUserData, SetFlags and the other
// setters come after it. What the entry points to (buffers, addresses, message
// headers) must stay reachable and in place until the operation's last completion
// (the one without CQE.More), unless the Prep method asks for less: the entry holds
// addresses as numbers, which the garbage collector does not see. What needs to
// stay only "until the submission" is copied by the kernel when it takes the SQE
// (IORING_FEAT_SUBMIT_STABLE, Linux 5.5): it must stay until Submit has returned
// and Pending is 0. Ring.StageMsg and the other Stage methods provide memory for
// that; see the package comment.
//
// A descriptor is a plain one or, with FixedFile, an index of RegisterFiles.
type SQE struct {
	opcode      uint8
	flags       uint8
	ioprio      uint16
	fd          int32
	off         uint64 // also addr2, cmd_op
	addr        uint64 // also splice_off_in
	len         uint32
	opFlags     uint32
	userData    uint64
	bufIndex    uint16 // also buf_group
	personality uint16
	fileIndex   uint32 // also splice_fd_in, addr_len
	addr3       uint64
	pad         uint64
}

// Bits for SQE.SetFlags (IOSQE_*).
const (
	// FixedFile makes the descriptor an index of RegisterFiles. Since Linux 5.1.
	FixedFile = iosys.IOSQE_FLAGS_FIXED_FILE
	// IODrain starts the operation after all earlier ones and holds back all later
	// ones until it has completed. Since Linux 5.2.
	IODrain = iosys.IOSQE_FLAGS_IO_DRAIN
	// IOLink starts the next SQE only when this one has succeeded in full; after an
	// error or a short transfer the rest of the chain completes with ECANCELED. A
	// chain ends with the submission. Since Linux 5.3.
	IOLink = iosys.IOSQE_FLAGS_IO_LINK
	// IOHardlink is like IOLink, but an error does not break the chain. Since Linux
	// 5.5.
	IOHardlink = iosys.IOSQE_FLAGS_IO_HARDLINK
	// Async hands the operation to a kernel worker at once. Since Linux 5.6.
	Async = iosys.IOSQE_FLAGS_ASYNC
	// BufferSelect lets the kernel take a buffer of the group that SetBufGroup
	// names. Since Linux 5.7; buffer rings since 5.19.
	BufferSelect = iosys.IOSQE_FLAGS_BUFFER_SELECT
	// CQESkipSuccess posts no completion if the operation succeeds; a short
	// transfer with MSG_WAITALL counts as a failure. Since Linux 5.17.
	CQESkipSuccess uint8 = 1 << 6
)

// Bits for SQE.SetIoprio, by operation.
const (
	// RecvSendPollFirst waits for readiness before the first attempt. Since Linux
	// 5.19.
	RecvSendPollFirst uint16 = 1 << 0
	// RecvSendBundle transfers several provided buffers in one completion,
	// contiguous from CQE.BufID on. Since Linux 6.10.
	RecvSendBundle uint16 = 1 << 4
	// SendZCReportUsage makes CQE.Copied meaningful. Since Linux 6.2.
	SendZCReportUsage uint16 = 1 << 3

	recvMultishot   uint16 = 1 << 1 // 6.0
	recvSendFixed   uint16 = 1 << 2 // 6.0
	acceptMultishot uint16 = 1 << 0 // 5.19
)

// CurrentOffset is the offset for reads and writes of sockets and pipes, which have
// no position, and of files at their own position.
const CurrentOffset = ^uint64(0)

// fileIndexAlloc is IORING_FILE_INDEX_ALLOC: the kernel picks a free slot.
const fileIndexAlloc = ^uint32(0)

// prep resets the entry. The fields are stored one by one because a composite
// literal is built elsewhere and copied in wider pieces than it was written in: 8.1
// ns instead of 1.7 ns, because of a store-forwarding stall.
func (s *SQE) prep(op uint8, fd int, addr uint64, length uint32, off uint64) {
	s.opcode = op
	s.flags = 0
	s.ioprio = 0
	s.fd = int32(fd)
	s.off = off
	s.addr = addr
	s.len = length
	s.opFlags = 0
	s.userData = 0
	s.bufIndex = 0
	s.personality = 0
	s.fileIndex = 0
	s.addr3 = 0
	s.pad = 0
}

// SetUserData sets what the completion carries; a Prep method sets it to 0.
func (s *SQE) SetUserData(u uint64) { s.userData = u }

// UserData returns what SetUserData set.
func (s *SQE) UserData() uint64 { return s.userData }

// SetFlags adds bits: FixedFile, IOLink, CQESkipSuccess, …
func (s *SQE) SetFlags(bits uint8) { s.flags |= bits }

// SetIoprio adds bits to the field that most operations use for modifiers:
// RecvSendPollFirst, SendZCReportUsage, …
func (s *SQE) SetIoprio(bits uint16) { s.ioprio |= bits }

// SetBufGroup sets the group of provided buffers, which BufferSelect makes use of.
func (s *SQE) SetBufGroup(group uint16) { s.bufIndex = group }

// SetBufIndex sets the index of a registered buffer.
func (s *SQE) SetBufIndex(index uint16) { s.bufIndex = index }

// Opcode returns the IORING_OP_* number that a Prep method stored.
func (s *SQE) Opcode() uint8 { return s.opcode }

// Compat returns the same entry as iouring-go's interface, for preparation
// functions written for that package. Their PrepOperation does not reset the entry:
// call Reset first. Of its methods, CleanFlags toggles rather than clears.
func (s *SQE) Compat() iosys.SubmissionQueueEntry {
	return (*iosys.SubmissionQueueEntry64)(unsafe.Pointer(s))
}

// setTargetSlot sets the slot for a direct descriptor; 0 means none, so slots are
// counted from 1.
func (s *SQE) setTargetSlot(index uint32) { s.fileIndex = index + 1 }
