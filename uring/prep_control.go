//go:build linux

package uring

import (
	"math/bits"
	"unsafe"

	iosys "github.com/iceber/iouring-go/syscall"
)

// Flags of PrepCancel, PrepCancelFD and Ring.SyncCancel.
const (
	CancelAll     uint32 = 1 << 0 // all that match, not only the first; since Linux 5.19
	CancelFD      uint32 = 1 << 1 // match by descriptor; since Linux 5.19
	CancelAny     uint32 = 1 << 2 // match everything; since Linux 5.19
	CancelFDFixed uint32 = 1 << 3 // the descriptor is an index; since Linux 6.0
)

// PrepCancel cancels the operation that has userData, or with CancelAll all of
// them. What is cancelled completes with ECANCELED, or with its result if it was
// faster. Res is 0, with CancelAll how many; ENOENT: none found; EALREADY: it is
// running and can no longer be stopped. Since Linux 5.5; flags since 5.19.
func (s *SQE) PrepCancel(userData uint64, flags uint32) {
	s.prep(iosys.IORING_OP_ASYNC_CANCEL, -1, userData, 0, 0)
	s.opFlags = flags
}

// PrepCancelFD is PrepCancel by descriptor; CancelFD is implied. Only operations
// that were submitted earlier are found. Since Linux 5.19.
func (s *SQE) PrepCancelFD(fd int, flags uint32) {
	s.prep(iosys.IORING_OP_ASYNC_CANCEL, fd, 0, 0, 0)
	s.opFlags = flags | CancelFD
}

// Flags of polls.
const (
	pollMultishot uint32 = 1 << 0 // 5.13
	// PollUpdateEvents changes what is polled for. Since Linux 5.13.
	PollUpdateEvents uint32 = 1 << 1
	// PollUpdateUserData changes the user data. Since Linux 5.13.
	PollUpdateUserData uint32 = 1 << 2
	// PollLevel, with PrepPollUpdate or SetPollFlags, makes it level-triggered.
	// Since Linux 6.0.
	PollLevel uint32 = 1 << 3
)

// PrepPollAdd waits for one of the POLL* events in mask, once: Res is those that
// came. EPOLLET and EPOLLEXCLUSIVE may be in it. Since Linux 5.1, of all 32 bits
// 5.9.
func (s *SQE) PrepPollAdd(fd int, mask uint32) {
	s.prep(iosys.IORING_OP_POLL_ADD, fd, 0, 0, 0)
	s.opFlags = pollMask(mask)
}

// PrepPollMultishot goes on after the first event, a completion each, until one
// has no CQE.More. Events are edges: what is not consumed is not told again,
// unless SetPollFlags says PollLevel. Since Linux 5.13.
func (s *SQE) PrepPollMultishot(fd int, mask uint32) {
	s.PrepPollAdd(fd, mask)
	s.len = pollMultishot
}

// SetPollFlags adds flags to PrepPollAdd or PrepPollMultishot: PollLevel.
func (s *SQE) SetPollFlags(flags uint32) { s.len |= flags }

// PrepPollRemove ends the poll that has userData; it completes with ECANCELED.
// ENOENT: there is none. Since Linux 5.1.
func (s *SQE) PrepPollRemove(userData uint64) {
	s.prep(iosys.IORING_OP_POLL_REMOVE, -1, userData, 0, 0)
}

// PrepPollUpdate changes the poll that has oldUserData: its events to mask with
// PollUpdateEvents in flags, its user data to newUserData with
// PollUpdateUserData. Since Linux 5.13.
func (s *SQE) PrepPollUpdate(oldUserData, newUserData uint64, mask, flags uint32) {
	s.prep(iosys.IORING_OP_POLL_REMOVE, -1, oldUserData, flags, newUserData)
	s.opFlags = pollMask(mask)
}

// pollMask is poll32_events, whose halves big-endian machines swap.
func pollMask(mask uint32) uint32 {
	if bigEndian {
		return bits.RotateLeft32(mask, 16)
	}
	return mask
}

// Flags of timeouts.
const (
	TimeoutAbs          uint32 = iosys.IORING_TIMEOUT_ABS // a time, not a duration; 5.5
	TimeoutBoottime     uint32 = 1 << 2                   // CLOCK_BOOTTIME; 5.15
	TimeoutRealtime     uint32 = 1 << 3                   // CLOCK_REALTIME; 5.15
	TimeoutETimeSuccess uint32 = 1 << 5                   // ETIME breaks no chain; 5.16
	TimeoutMultishot    uint32 = 1 << 6                   // again and again; 6.4

	timeoutUpdate uint32 = 1 << 1 // 5.11
)

// PrepTimeout completes with ETIME after ts, or with 0 as soon as count other
// operations have completed; count 0 is time alone. The clock is CLOCK_MONOTONIC
// unless flags say otherwise. ts must stay in place until the submission. Since
// Linux 5.4.
func (s *SQE) PrepTimeout(ts *Timespec, count uint32, flags uint32) {
	s.prep(iosys.IORING_OP_TIMEOUT, -1, address(unsafe.Pointer(ts)), 1, uint64(count))
	s.opFlags = flags
}

// PrepTimeoutRemove ends the timeout that has userData, which completes with
// ECANCELED. ENOENT: there is none, EBUSY: it is firing. Since Linux 5.5.
func (s *SQE) PrepTimeoutRemove(userData uint64, flags uint32) {
	s.prep(iosys.IORING_OP_TIMEOUT_REMOVE, -1, userData, 0, 0)
	s.opFlags = flags
}

// PrepTimeoutUpdate sets the timeout that has userData to ts; flags may have
// TimeoutAbs. Since Linux 5.11.
func (s *SQE) PrepTimeoutUpdate(ts *Timespec, userData uint64, flags uint32) {
	s.prep(iosys.IORING_OP_TIMEOUT_REMOVE, -1, userData, 0, address(unsafe.Pointer(ts)))
	s.opFlags = flags | timeoutUpdate
}

// PrepLinkTimeout, behind an SQE that has IOLink, cancels that one after ts. It
// completes with ETIME if it did, with ECANCELED if the other was faster. ts must
// stay in place until the submission. Since Linux 5.5.
func (s *SQE) PrepLinkTimeout(ts *Timespec, flags uint32) {
	s.prep(iosys.IORING_OP_LINK_TIMEOUT, -1, address(unsafe.Pointer(ts)), 1, 0)
	s.opFlags = flags
}

// PrepMsgRing posts a completion to the ring that has descriptor ringFD, with res
// and data as its Res and UserData; flags is 0. It wakes who waits there. EBADFD:
// that ring is not enabled; EOVERFLOW: no room. Since Linux 5.18.
func (s *SQE) PrepMsgRing(ringFD int, res uint32, data uint64, flags uint32) {
	s.prep(iosys.IORING_OP_MSG_RING, ringFD, 0, res, data)
	s.opFlags = flags
}
