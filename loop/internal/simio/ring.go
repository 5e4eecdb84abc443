package simio

import (
	"sync/atomic"
	"unsafe"

	"github.com/sluice-net/sluice/uring"
)

// ring is the kernel's side of an io_uring with IORING_SETUP_DEFER_TASKRUN.
//
//	SQ --take--> task --done at once--------------------> batch --> CQ
//	             task --waits--> armed --ready--> work ---> batch --> overflow --> CQ
//
// What is done at once is posted at the end of the submission, what had to wait only
// in an enter with GETEVENTS, some twenty tasks at a time. What the CQ has no room
// for goes to the overflow list, and all that follows goes behind it.
type ring struct {
	m        *Machine
	w        *World
	fd       int
	flags    uint32
	disabled bool

	sqEntries, cqEntries uint32
	shared, entries      []byte // the two mappings
	array                uint32 // offset of the SQ's array, 0: none

	sqHead, cqTail uint32 // the kernel's own copies

	byData   map[uint64]*task // in flight
	tasks    []*task          // in flight, oldest first
	work     []*task          // of them, those that can go on
	batch    []posting        // to be posted at the end of what goes on
	overflow []posting
	groups   []*bufGroup
	buffers  []registration

	registered bool // its descriptor, with the thread
	refusals   int  // enters in a row that took nothing, by a fault
}

// posting is a completion and whose it is.
type posting struct {
	cqe
	fd   int       // for the order of what belongs together
	lent *provided // the buffer in it
}

// registration is registered memory.
type registration struct{ addr, len uint64 }

// Where the words of the two queues are in the shared memory.
const (
	atSQHead = 4 * iota
	atSQTail
	atSQMask
	atSQEntries
	atSQFlags
	atSQDropped
	atCQHead
	atCQTail
	atCQMask
	atCQEntries
	atCQOverflow
	atCQFlags
	atCQEs = 64
)

// lay makes the shared memory.
func (r *ring) lay(p *uring.Params) {
	size := atCQEs + int(r.cqEntries)*cqeSize
	if r.flags&setupNoArray == 0 {
		r.array = uint32(size)
		size += 4 * int(r.sqEntries)
	}
	r.shared, r.entries = mapped(size), mapped(int(r.sqEntries)*sqeSize)
	poison(r.entries)
	*r.word(atSQMask), *r.word(atCQMask) = r.sqEntries-1, r.cqEntries-1
	*r.word(atSQEntries), *r.word(atCQEntries) = r.sqEntries, r.cqEntries

	p.SQEntries, p.CQEntries, p.Features = r.sqEntries, r.cqEntries, featuresKnown
	sq, cq := &p.SQOffset, &p.CQOffset
	sq.Head, sq.Tail, sq.RingMask, sq.RingEntries = atSQHead, atSQTail, atSQMask, atSQEntries
	sq.Flags, sq.Dropped, sq.Array = atSQFlags, atSQDropped, r.array
	cq.Head, cq.Tail, cq.RingMask, cq.RingEntries = atCQHead, atCQTail, atCQMask, atCQEntries
	cq.Overflow, cq.Flags, cq.Cqes = atCQOverflow, atCQFlags, atCQEs
}

func (r *ring) word(at int) *uint32 { return (*uint32)(unsafe.Pointer(&r.shared[at])) }

// flag sets or clears a bit of the SQ's flags.
func (r *ring) flag(bit uint32, on bool) {
	if on {
		atomic.OrUint32(r.word(atSQFlags), bit)
	} else {
		atomic.AndUint32(r.word(atSQFlags), ^bit)
	}
}

// ready is how many completions the CQ holds.
func (r *ring) ready() uint32 { return r.cqTail - r.cqHead() }

func (r *ring) cqHead() uint32 { return atomic.LoadUint32(r.word(atCQHead)) }

// put writes a completion into the CQ, if there is room and none waits for it.
func (r *ring) put(p posting) bool {
	if r.ready() >= r.cqEntries {
		return false
	}
	at := atCQEs + int(r.cqTail&(r.cqEntries-1))*cqeSize
	*(*cqe)(unsafe.Pointer(&r.shared[at])) = p.cqe
	r.cqTail++
	atomic.StoreUint32(r.word(atCQTail), r.cqTail)
	if p.lent != nil {
		p.lent.posted(r.cqTail)
	}
	return true
}

// post posts a completion: into the CQ, or behind what waits for room in it.
func (r *ring) post(p posting) {
	if len(r.overflow) > 0 || !r.put(p) {
		r.overflow = append(r.overflow, p)
		r.flag(sqOverflow, true)
	}
}

// postMore posts a completion of what goes on, which must not overflow.
func (r *ring) postMore(t *task, res int32, flags uint32, lent *provided) bool {
	t.record("+", res)
	if len(r.overflow) > 0 {
		return false
	}
	return r.put(posting{cqe{t.sqe.userData, res, flags | cqeMore}, t.owner(), lent})
}

// flush moves what overflowed, as far as there is room.
func (r *ring) flush() {
	for len(r.overflow) > 0 && r.put(r.overflow[0]) {
		r.overflow = r.overflow[1:]
	}
	if len(r.overflow) == 0 {
		r.flag(sqOverflow, false)
	}
}

// deliver posts what was done at once. The order of what has nothing to do with each
// other is nobody's promise.
func (r *ring) deliver() {
	batch := r.batch
	r.batch = nil
	if len(batch) > 1 && r.w.turns.chance(r.w.faults.Reorder) {
		mingle(&r.w.turns, batch, func(p *posting) int { return p.fd })
	}
	for _, p := range batch {
		r.post(p)
	}
}

// mingle puts things into another order, but keeps that of each owner.
func mingle[T any](s *source, all []T, owner func(*T) int) {
	for i := range all {
		who := owner(&all[i+s.below(len(all)-i)])
		first := i
		for owner(&all[first]) != who {
			first++
		}
		x := all[first]
		copy(all[i+1:first+1], all[i:first])
		all[i] = x
	}
}

// close ends everything, without completions.
func (r *ring) close() {
	for _, t := range r.tasks {
		t.state = taskOver
		t.letGo()
	}
	r.tasks, r.work, r.batch, r.overflow, r.byData = nil, nil, nil, nil, nil
	unmap(r.shared)
	unmap(r.entries)
}
