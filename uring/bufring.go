//go:build linux

package uring

import (
	"errors"
	"math"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// BufRing is a group of buffers from which the kernel takes one when a receive with
// BufferSelect has data, so idle sockets hold no memory.
//
//	caller's --Add--> staged --Advance--> kernel's --completion--> caller's
//
// At first all buffers belong to the caller. The kernel takes them in the order in
// which they were added. Each buffer that a completion hands to the caller must be
// added back exactly once, in any order; adding one that the kernel already has
// lets two sockets write to it.
//
// The memory is allocated on first use, so a large ring with few buffers in
// circulation costs little. The methods must be called on the ring's goroutine.
// Since Linux 5.19.
type BufRing struct {
	ring  *Ring
	bufs  []byte // count * size, page-aligned
	table []byte // count entries of bufEntry, shared with the kernel
	size  int
	mask  uint16
	tail  uint16
	bid0  uint16 // entry 0's, see publish
	group uint16
}

// bufEntry is struct io_uring_buf. In entry 0, resv is the ring's tail.
type bufEntry struct {
	addr uint64
	len  uint32
	bid  uint16
	resv uint16
}

// tailWord is the offset of the 32-bit word of entry 0 that holds bid and tail.
const tailWord = unsafe.Offsetof(bufEntry{}.bid)

// BufRingOptions are the options of RegisterBufRingWith.
type BufRingOptions struct {
	Count int // number of buffers, a power of 2, at most 32768
	Size  int // size of each, in bytes
	// Start is the number of buffers in circulation at first: 0 to Start-1.
	Start int
	// Incremental lets the kernel fill a buffer piece by piece, over several
	// completions; CQE.BufMore reports that more will follow. Not supported by
	// PrepRecvMsgMultishot. Since Linux 6.12.
	Incremental bool
}

// RegisterBufRing registers a group of count buffers, a power of 2 up to 32768, of
// size bytes each. None is in circulation yet: call Add, then Advance.
//
// Errors: ErrSize, *NotSupportedError, *MemlockError, ErrClosed, ErrWrongThread,
// *os.SyscallError; EEXIST: the group is already in use. Since Linux 5.19.
func (r *Ring) RegisterBufRing(group uint16, count, size int) (*BufRing, error) {
	return r.RegisterBufRingWith(group, BufRingOptions{Count: count, Size: size})
}

// RegisterBufRingWith is RegisterBufRing with options.
func (r *Ring) RegisterBufRingWith(group uint16, o BufRingOptions) (*BufRing, error) {
	switch {
	case r.state == ringClosed:
		return nil, ErrClosed
	case o.Count < 1 || o.Count > buffersMax || o.Count&(o.Count-1) != 0,
		o.Size < 1 || o.Size > math.MaxInt32 || o.Size > math.MaxInt/o.Count,
		o.Start < 0 || o.Start > o.Count:
		return nil, ErrSize
	}
	b := &BufRing{ring: r, size: o.Size, mask: uint16(o.Count - 1), group: group}
	if err := b.mmap(o.Count); err != nil {
		return nil, err
	}
	if err := b.register(o.Incremental); err != nil {
		b.unmap()
		return nil, err
	}
	r.bufRings = append(r.bufRings, b)
	for id := range o.Start {
		b.Add(uint16(id))
	}
	b.Advance()
	return b, nil
}

func (b *BufRing) mmap(count int) error {
	system := b.ring.system
	var errno syscall.Errno
	b.table, errno = system.Map(-1, 0, count*int(unsafe.Sizeof(bufEntry{})))
	if errno != 0 {
		return syscallError("mmap", errno)
	}
	// Buffers that never circulate never take up memory.
	b.bufs, errno = system.Map(-1, 0, count*b.size)
	if errno != 0 {
		system.Unmap(b.table)
		return syscallError("mmap", errno)
	}
	return nil
}

func (b *BufRing) register(incremental bool) error {
	reg := bufReg{
		ringAddr:    address(unsafe.Pointer(&b.table[0])),
		ringEntries: uint32(b.Count()),
		bgid:        b.group,
	}
	feature := FeatureBufRing
	if incremental {
		reg.flags = pbufRingInc
		feature = FeatureBufRingInc
	}
	_, err := b.ring.register(registerPBufRing, unsafe.Pointer(&reg), 1)
	switch errnoOf(err) {
	case syscall.EINVAL, syscall.EPERM, syscall.ENOSYS, syscall.EACCES:
		return notSupported(feature, err)
	case syscall.ENOMEM:
		return memlockError("buffer ring", pages(uint64(len(b.table))))
	}
	return err
}

// Count returns the number of buffers, in circulation or not.
func (b *BufRing) Count() int { return int(b.mask) + 1 }

// Size returns the size of each buffer, in bytes.
func (b *BufRing) Size() int { return b.size }

// Group returns the group number for SQE.SetBufGroup and the Prep methods.
func (b *BufRing) Group() uint16 { return b.group }

// Buffer returns the whole of buffer id; the completion's Res says how much of it
// is data. The buffer belongs to the caller from the completion that delivered it
// until Add. Buffer panics if id is not less than Count, or if the ring is closed.
func (b *BufRing) Buffer(id uint16) []byte {
	start := int(id) * b.size
	return b.bufs[start : start+b.size : start+b.size]
}

// Add stages buffer id for the kernel, which sees it after Advance. It panics if id
// is not less than Count, or if the ring is closed.
func (b *BufRing) Add(id uint16) {
	addr := address(unsafe.Pointer(&b.bufs[int(id)*b.size]))
	slot := b.tail & b.mask
	e := (*bufEntry)(unsafe.Pointer(&b.table[uintptr(slot)*unsafe.Sizeof(bufEntry{})]))
	// The last two bytes of entry 0 are the tail, so no entry is stored as a whole,
	// and the bid of entry 0 is stored together with the tail, by publish.
	e.addr = addr
	e.len = uint32(b.size)
	if slot == 0 {
		b.bid0 = id
	} else {
		e.bid = id
	}
	b.tail++
}

// Advance publishes the added buffers to the kernel.
func (b *BufRing) Advance() {
	if b.table == nil {
		return
	}
	// One 32-bit store publishes the tail after the entries: Go has no atomic store
	// of 16 bits, and the neighbouring field is our own bid.
	word := uint32(b.bid0) | uint32(b.tail)<<16
	if bigEndian {
		word = uint32(b.bid0)<<16 | uint32(b.tail)
	}
	atomic.StoreUint32((*uint32)(unsafe.Pointer(&b.table[tailWord])), word)
}

// Close unregisters the group and frees its memory: no slice of it may still be in
// use, and no receive from the group in flight. Ring.Close does the same. It is
// idempotent.
//
// Do not register a group below 64 again on the same ring if you must support Linux
// 6.1: there the kernel continues at its old position in the group (seen on
// 6.1.192, not on 6.12).
func (b *BufRing) Close() error {
	if b.table == nil {
		return nil
	}
	reg := bufReg{bgid: b.group}
	_, err := b.ring.register(unregisterPBufRing, unsafe.Pointer(&reg), 1)
	if err != nil && !errors.Is(err, ErrClosed) {
		return err
	}
	for i, other := range b.ring.bufRings {
		if other == b {
			b.ring.bufRings = append(b.ring.bufRings[:i], b.ring.bufRings[i+1:]...)
			break
		}
	}
	return b.unmap()
}

func (b *BufRing) unmap() error {
	if b.table == nil {
		return nil
	}
	system := b.ring.system
	err := callError("munmap", system.Unmap(b.table))
	if berr := callError("munmap", system.Unmap(b.bufs)); err == nil {
		err = berr
	}
	b.table, b.bufs = nil, nil
	return err
}
