//go:build linux

package uring

import (
	"errors"
	"math"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// BufRing is a group of buffers from which the kernel takes one when a receive
// with BufferSelect has data: idle sockets hold no memory.
//
//	caller's --Add--> staged --Advance--> kernel's --completion--> caller's
//
// At first all buffers are the caller's. The kernel takes them in the order in
// which they were added. Buffers in the caller's hands must be added back once,
// and in any order; adding one that the kernel has lets two sockets write to it.
//
// It is memory that is touched on first use, so that a large ring with few
// buffers in circulation costs little. The methods are for the ring's goroutine.
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

// tailWord is where the 32-bit word of entry 0 lies that holds bid and tail.
const tailWord = unsafe.Offsetof(bufEntry{}.bid)

// BufRingOptions are RegisterBufRingWith's.
type BufRingOptions struct {
	Count int // buffers, a power of 2, at most 32768
	Size  int // bytes of each
	// Start is how many buffers are in circulation at first: 0 to Start-1.
	Start int
	// Incremental lets the kernel fill a buffer in pieces, over several
	// completions; CQE.BufMore says that it goes on. Not for PrepRecvMsgMultishot.
	// Since Linux 6.12.
	Incremental bool
}

// RegisterBufRing makes a group of count buffers, a power of 2 up to 32768, of
// size bytes each. None is in circulation yet: Add them and Advance.
//
// Errors: ErrSize, *NotSupportedError, *MemlockError, ErrClosed, ErrWrongThread,
// *os.SyscallError; EEXIST: the group is taken. Since Linux 5.19.
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
	// What is never in circulation is never paid for.
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

// Count is how many buffers there are, in circulation or not.
func (b *BufRing) Count() int { return int(b.mask) + 1 }

// Size is the bytes of each buffer.
func (b *BufRing) Size() int { return b.size }

// Group is the number for SQE.SetBufGroup and the Prep methods.
func (b *BufRing) Group() uint16 { return b.group }

// Buffer is buffer id, all of it; the completion's Res says how much is data. It
// is the caller's from the completion that brought it to Add. It panics if id is
// not less than Count, or the ring closed.
func (b *BufRing) Buffer(id uint16) []byte {
	start := int(id) * b.size
	return b.bufs[start : start+b.size : start+b.size]
}

// Add stages buffer id for the kernel, which sees it after Advance. It panics if
// id is not less than Count, or the ring closed.
func (b *BufRing) Add(id uint16) {
	addr := address(unsafe.Pointer(&b.bufs[int(id)*b.size]))
	slot := b.tail & b.mask
	e := (*bufEntry)(unsafe.Pointer(&b.table[uintptr(slot)*unsafe.Sizeof(bufEntry{})]))
	// Entry 0's last two bytes are the tail, so no entry is stored as a whole, and
	// entry 0's bid is stored with the tail, by publish.
	e.addr = addr
	e.len = uint32(b.size)
	if slot == 0 {
		b.bid0 = id
	} else {
		e.bid = id
	}
	b.tail++
}

// Advance lets the kernel see what was added.
func (b *BufRing) Advance() {
	if b.table == nil {
		return
	}
	// One 32-bit store publishes the tail after the entries: Go has no atomic
	// store of 16 bits, and the neighbour is our own bid.
	word := uint32(b.bid0) | uint32(b.tail)<<16
	if bigEndian {
		word = uint32(b.bid0)<<16 | uint32(b.tail)
	}
	atomic.StoreUint32((*uint32)(unsafe.Pointer(&b.table[tailWord])), word)
}

// Close unregisters the group and frees its memory: no slice of it may be in use
// any more, and no receive of the group in flight. Ring.Close does it as well.
// It is idempotent.
//
// Do not register a group below 64 again on the same ring if Linux 6.1 matters:
// there the kernel goes on where it was in the old one (seen on 6.1.192, not on
// 6.12).
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
