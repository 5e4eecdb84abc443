//go:build linux

package uring

import (
	"errors"
	"iter"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Ring is a submission queue (SQ) and a completion queue (CQ) shared with the
// kernel.
//
//	disabled --Enable--> enabled --Close--> closed
//
// New returns it enabled, or, with Options.Disabled, disabled. All methods must be
// called by one goroutine. With SINGLE_ISSUER, that is, on every kernel since 6.0,
// the kernel also requires a single thread: the goroutine that calls Enable (or
// New, without Disabled) must be locked by runtime.LockOSThread and stay so until
// Close. When a locked goroutine ends, its thread ends, and with it whatever the
// ring had in flight, without completions.
type Ring struct {
	// Submission: *head is the kernel's, *tail ours. sqTail counts the prepared
	// entries, *tail those that the kernel may see.
	sqHead    *uint32
	sqTailPub *uint32
	sqFlags   *uint32
	sqes      unsafe.Pointer
	sqTail    uint32
	sqMask    uint32
	sqEntries uint32

	// Completion: *head is ours, *tail the kernel's.
	cqMask    uint32
	cqHead    uint32
	cqHeadPub *uint32
	cqTail    *uint32
	cqes      unsafe.Pointer
	cqDropped *uint32

	stage stage // what prepared SQEs point to

	enterFD    int // descriptor, or index of the registered one
	enterFlags uint32
	waitFlags  uint32 // additional flags for an enter that may block
	ts         Timespec
	arg        getEventsArg

	fd        int
	flags     uint32
	features  uint32
	cqEntries uint32
	sqDropped *uint32
	state     ringState
	owner     int // thread that enabled the ring
	stats     Stats

	system    System
	simulated bool   // system is not Linux
	rings     []byte // the mapping of both queues
	sqesMap   []byte
	buffers   [][]byte // registered ones, kept reachable
	bufRings  []*BufRing
	ringFDReg bool
	plainFD   bool // Options.NoRegisteredFD
}

type ringState uint8

const (
	ringDisabled ringState = iota
	ringEnabled
	ringClosed
)

// Stats counts what a ring has done since New.
type Stats struct {
	Enters     uint64 // io_uring_enter calls, blocking or not
	Blocking   uint64 // of these, those that were allowed to block
	Registers  uint64 // io_uring_register calls
	Submitted  uint64 // SQEs that the kernel took
	Completed  uint64 // CQEs that Advance passed
	Interrupts uint64 // enters ended by a signal
	Timeouts   uint64 // waits ended by their timeout
	Busy       uint64 // submissions refused with EBUSY or EAGAIN
	Overflows  uint64 // enters that found the CQ overflown and flushed it
}

// Stats returns the counters.
func (r *Ring) Stats() Stats { return r.stats }

// SQE returns the next free submission entry, or nil if the queue is full: then
// call Submit and ask again. One Prep method must be called on the entry before the
// next Submit, because the entry still holds what its last user left there.
func (r *Ring) SQE() *SQE {
	if r.sqTail-atomic.LoadUint32(r.sqHead) >= r.sqEntries {
		return nil
	}
	s := (*SQE)(unsafe.Add(r.sqes, uintptr(r.sqTail&r.sqMask)*unsafe.Sizeof(SQE{})))
	r.sqTail++
	return s
}

// Pending returns the number of prepared SQEs that the kernel has not taken yet.
func (r *Ring) Pending() int { return int(r.sqTail - atomic.LoadUint32(r.sqHead)) }

// Space returns how many more times SQE will succeed before a Submit. A chain of
// IOLink must be submitted as a whole: check Space before beginning one.
func (r *Ring) Space() int { return int(r.sqEntries) - r.Pending() }

// Ready returns the number of completions that are available without a system call.
func (r *Ring) Ready() int { return int(atomic.LoadUint32(r.cqTail) - r.cqHead) }

// Peek returns the oldest completion, or nil if there is none. It stays until
// Advance.
func (r *Ring) Peek() *CQE {
	if r.cqHead == atomic.LoadUint32(r.cqTail) {
		return nil
	}
	return r.cqe(r.cqHead)
}

// PeekAt returns the i-th oldest completion. It panics unless i is less than Ready.
func (r *Ring) PeekAt(i int) *CQE {
	if uint(i) >= uint(r.Ready()) {
		panic("uring: PeekAt beyond Ready")
	}
	return r.cqe(r.cqHead + uint32(i))
}

func (r *Ring) cqe(at uint32) *CQE {
	return (*CQE)(unsafe.Add(r.cqes, uintptr(at&r.cqMask)*unsafe.Sizeof(CQE{})))
}

// Advance releases the n oldest completions, so that the kernel can reuse their
// room. It panics if n exceeds Ready. The *CQEs that Peek and PeekAt returned for
// them are no longer valid.
func (r *Ring) Advance(n int) {
	if uint(n) > uint(r.Ready()) {
		panic("uring: Advance beyond Ready")
	}
	r.cqHead += uint32(n)
	r.stats.Completed += uint64(n)
	atomic.StoreUint32(r.cqHeadPub, r.cqHead)
}

// CQEs yields completions for as long as they are available without a system call,
// including those that arrive in the meantime. Each is a copy; Advance has already
// been called for it.
func (r *Ring) CQEs() iter.Seq[CQE] {
	return func(yield func(CQE) bool) {
		for c := r.Peek(); c != nil; c = r.Peek() {
			got := *c
			r.Advance(1)
			if !yield(got) {
				return
			}
		}
	}
}

// TaskrunPending reports whether completions wait inside the kernel for the next
// enter. It reads one word of memory, so a loop can spin on it. Only with
// SetupTaskrunFlag in Flags. Since Linux 5.19.
func (r *Ring) TaskrunPending() bool { return atomic.LoadUint32(r.sqFlags)&sqTaskrun != 0 }

// Overflowed reports whether completions wait inside the kernel for room in the CQ.
// The next enter of any kind collects them, as far as there is room.
func (r *Ring) Overflowed() bool { return atomic.LoadUint32(r.sqFlags)&sqCQOverflow != 0 }

// Overflow returns how many completions the kernel lost because it had no memory to
// keep them; it wraps around. Those that it could keep count in Stats.Overflows.
func (r *Ring) Overflow() uint32 { return atomic.LoadUint32(r.cqDropped) }

// Dropped returns the number of SQEs that the kernel found malformed and ignored,
// which is always 0.
func (r *Ring) Dropped() uint32 { return atomic.LoadUint32(r.sqDropped) }

// FD returns the ring's descriptor, for poll and for PrepMsgRing from other rings.
func (r *Ring) FD() int { return r.fd }

// Entries returns the size of the submission queue: a power of 2, which can be less
// than New was asked for if memory was short.
func (r *Ring) Entries() int { return int(r.sqEntries) }

// CQEntries returns the size of the completion queue, a power of 2.
func (r *Ring) CQEntries() int { return int(r.cqEntries) }

// Close cancels everything in flight, waits at most 100 ms for it to end,
// and frees the ring, its buffer rings included. Completions that were not taken
// are lost. It is idempotent.
//
// On the thread that enabled the ring, and where the kernel can cancel in place
// (Linux 6.0), all operations have released their sockets when Close returns. If
// Close is called on another thread, the kernel does that later, and the ring
// itself lives until the enabling thread ends, because that thread's registered
// descriptor holds it. Until it is known that the kernel has finished with them,
// the buffers that it may still write to stay mapped, to the end of the process if
// need be: see Quiet.
func (r *Ring) Close() error {
	if r.state == ringClosed {
		return nil
	}
	quiet := r.Quiet()
	r.state = ringClosed
	if !quiet {
		abandon(r)
	}
	err := r.unmap()
	if serr := callError("munmap", r.closeStage()); err == nil {
		err = serr
	}
	if cerr := callError("close", r.system.Close(r.fd)); err == nil {
		err = cerr
	}
	for _, b := range r.bufRings {
		if berr := b.unmap(); err == nil {
			err = berr
		}
	}
	r.bufRings, r.buffers = nil, nil
	r.fd, r.enterFD = -1, -1
	return err
}

// Quiet cancels everything in flight, waits at most 100 ms for it to end, and
// reports whether it has ended: if so, the kernel no longer uses any memory except
// the completions, which Peek and Wait still deliver. It is the first half of
// Close, for callers that want to see those completions. It returns false on any
// thread other than the one that enabled the ring, before Linux 6.0, and if a
// kernel worker is busy with something that cannot be cancelled; memory that was
// lent must then stay as it is to the end of the process. Nothing may be submitted
// afterwards.
func (r *Ring) Quiet() bool {
	if r.state != ringEnabled {
		return true
	}
	if !r.onOwner() {
		return r.stats.Submitted == 0
	}
	_, err := r.SyncCancel(0, -1, CancelAny|CancelAll, closeTimeout)
	ended := err == nil || errors.Is(err, syscall.ENOENT)
	if ended || errors.Is(err, syscall.ETIME) {
		r.enter(0, 0, enterGetEvents, false)
	}
	if r.ringFDReg {
		r.unregisterRingFD()
	}
	return ended
}

// abandoned keeps reachable the memory that the kernel may still use.
var abandoned struct {
	sync.Mutex
	bufs [][]byte
}

// abandon leaves the ring's buffers to the kernel.
func abandon(r *Ring) {
	abandoned.Lock()
	defer abandoned.Unlock()
	for _, b := range r.bufRings {
		abandoned.bufs = append(abandoned.bufs, b.table, b.bufs)
		b.table, b.bufs = nil, nil
	}
	abandoned.bufs = append(abandoned.bufs, r.buffers...)
}

func (r *Ring) onOwner() bool { return unix.Gettid() == r.owner }

func (r *Ring) unmap() error {
	err := callError("munmap", r.system.Unmap(r.sqesMap))
	if rerr := callError("munmap", r.system.Unmap(r.rings)); err == nil {
		err = rerr
	}
	r.rings, r.sqesMap = nil, nil
	r.pointAtNothing()
	return err
}

// nothing is what a closed ring's queues consist of: no completions, and no room.
var nothing struct {
	sqe SQE
	cqe CQE
}

// pointAtNothing makes the methods of a closed ring harmless: they find no free
// entries and no completions, instead of faulting on unmapped memory.
func (r *Ring) pointAtNothing() {
	var zero [7]uint32
	r.sqHead, r.sqTailPub, r.sqFlags, r.sqDropped = &zero[0], &zero[1], &zero[2], &zero[3]
	r.cqHeadPub, r.cqTail, r.cqDropped = &zero[4], &zero[5], &zero[6]
	r.sqes, r.cqes = unsafe.Pointer(&nothing.sqe), unsafe.Pointer(&nothing.cqe)
	r.sqTail, r.sqMask, r.sqEntries, r.cqMask, r.cqHead = 0, 0, 0, 0, 0
}
