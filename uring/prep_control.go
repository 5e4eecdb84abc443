//go:build linux

package uring

import (
	"math/bits"
	"unsafe"

	iosys "github.com/iceber/iouring-go/syscall"
)

// Flags of PrepCancel, PrepCancelFD and Ring.SyncCancel.
const (
	CancelAll uint32 = 1 << 0 // all matches, not only the first; since Linux 5.19
	CancelFD  uint32 = 1 << 1 // match by descriptor; since Linux 5.19
	CancelAny uint32 = 1 << 2 // match everything; since Linux 5.19
)

// PrepCancel cancels the operation that has userData, or with CancelAll every one
// that has it. A cancelled operation completes with ECANCELED, or with its result
// if it finished first. Res is 0, or with CancelAll the number cancelled; ENOENT:
// none was found; EALREADY: it is running and can no longer be stopped. Since Linux
// 5.5; flags since 5.19.
func (s *SQE) PrepCancel(userData uint64, flags uint32) {
	s.prep(iosys.IORING_OP_ASYNC_CANCEL, -1, userData, 0, 0)
	s.opFlags = flags
}

// PrepCancelFD is PrepCancel by descriptor; CancelFD is implied. It finds only
// operations that were submitted earlier. Since Linux 5.19.
func (s *SQE) PrepCancelFD(fd int, flags uint32) {
	s.prep(iosys.IORING_OP_ASYNC_CANCEL, fd, 0, 0, 0)
	s.opFlags = flags | CancelFD
}

// Flags of polls.
const (
	pollMultishot uint32 = 1 << 0 // 5.13
	// PollUpdateEvents changes the events that are polled for. Since Linux 5.13.
	PollUpdateEvents uint32 = 1 << 1
	// PollUpdateUserData changes the user data. Since Linux 5.13.
	PollUpdateUserData uint32 = 1 << 2
)

// PrepPollAdd waits once for any of the POLL* events in mask: Res holds those that
// occurred. mask may include EPOLLET and EPOLLEXCLUSIVE. Since Linux 5.1; with all
// 32 bits since 5.9.
func (s *SQE) PrepPollAdd(fd int, mask uint32) {
	s.prep(iosys.IORING_OP_POLL_ADD, fd, 0, 0, 0)
	s.opFlags = pollMask(mask)
}

// PrepPollMultishot keeps polling after the first event, with one completion for
// each, until one has no CQE.More. Polling is edge-triggered, so an event that was
// not acted on is not reported again. Since Linux 5.13.
func (s *SQE) PrepPollMultishot(fd int, mask uint32) {
	s.PrepPollAdd(fd, mask)
	s.len = pollMultishot
}

// PrepPollRemove ends the poll that has userData, which completes with ECANCELED.
// ENOENT: there is none. Since Linux 5.1.
func (s *SQE) PrepPollRemove(userData uint64) {
	s.prep(iosys.IORING_OP_POLL_REMOVE, -1, userData, 0, 0)
}

// PrepPollUpdate changes the poll that has oldUserData: its events to mask if flags
// has PollUpdateEvents, its user data to newUserData if flags has
// PollUpdateUserData. Since Linux 5.13.
func (s *SQE) PrepPollUpdate(oldUserData, newUserData uint64, mask, flags uint32) {
	s.prep(iosys.IORING_OP_POLL_REMOVE, -1, oldUserData, flags, newUserData)
	s.opFlags = pollMask(mask)
}

// pollMask returns poll32_events, whose halves are swapped on big-endian machines.
func pollMask(mask uint32) uint32 {
	if bigEndian {
		return bits.RotateLeft32(mask, 16)
	}
	return mask
}

// Flags of timeouts.
const (
	TimeoutAbs uint32 = iosys.IORING_TIMEOUT_ABS // a point in time, not a duration; 5.5

	timeoutUpdate uint32 = 1 << 1 // 5.11
)

// PrepTimeout completes with ETIME after ts, or with 0 as soon as count other
// operations have completed; with count 0, only time matters. The clock is
// CLOCK_MONOTONIC unless flags say otherwise. ts must stay in place until the
// submission. Since Linux 5.4.
func (s *SQE) PrepTimeout(ts *Timespec, count uint32, flags uint32) {
	s.prep(iosys.IORING_OP_TIMEOUT, -1, address(unsafe.Pointer(ts)), 1, uint64(count))
	s.opFlags = flags
}

// PrepTimeoutRemove ends the timeout that has userData, which completes with
// ECANCELED. ENOENT: there is none; EBUSY: it is firing. Since Linux 5.5.
func (s *SQE) PrepTimeoutRemove(userData uint64, flags uint32) {
	s.prep(iosys.IORING_OP_TIMEOUT_REMOVE, -1, userData, 0, 0)
	s.opFlags = flags
}

// PrepTimeoutUpdate changes the timeout that has userData to ts; flags may include
// TimeoutAbs. Since Linux 5.11.
func (s *SQE) PrepTimeoutUpdate(ts *Timespec, userData uint64, flags uint32) {
	s.prep(iosys.IORING_OP_TIMEOUT_REMOVE, -1, userData, 0, address(unsafe.Pointer(ts)))
	s.opFlags = flags | timeoutUpdate
}

// PrepLinkTimeout, placed after an SQE that has IOLink, cancels that operation
// after ts. It completes with ETIME if it cancelled it, or with ECANCELED if the
// operation finished first. ts must stay in place until the submission. Since Linux
// 5.5.
func (s *SQE) PrepLinkTimeout(ts *Timespec, flags uint32) {
	s.prep(iosys.IORING_OP_LINK_TIMEOUT, -1, address(unsafe.Pointer(ts)), 1, 0)
	s.opFlags = flags
}

// PrepMsgRing posts a completion to the ring that has descriptor ringFD, with res
// and data as its Res and UserData; flags is 0. It wakes the thread that waits
// there. EBADFD: that ring is not enabled; EOVERFLOW: it has no room. Since Linux
// 5.18.
func (s *SQE) PrepMsgRing(ringFD int, res uint32, data uint64, flags uint32) {
	s.prep(iosys.IORING_OP_MSG_RING, ringFD, 0, res, data)
	s.opFlags = flags
}
