package iouring

import "github.com/sluice-net/sluice/loop/internal/proactor"

// A completion finds its operation by its user_data: kind 8 bits, generation 24
// bits, slot 32 bits. It is never a pointer, and a completion that arrives late for
// a slot with a new owner is recognised by its generation.
const (
	kindOp     uint64 = iota // a slot's operation, or the poll that it waits for
	kindMsg                  // a slot's RecvMsg
	kindSend                 // a slot's send that posts a completion only when it fails
	kindWrite                // a slot's write to something that is not a socket
	kindIgnore               // belongs to no operation
	kindWake                 // the waker's
)

const genMask = 1<<24 - 1

func pack(kind uint64, gen, slot uint32) uint64 {
	return kind<<56 | uint64(gen&genMask)<<32 | uint64(slot)
}

// slot is an operation in flight. It keeps what the kernel uses reachable until the
// operation's last completion: the Op and, through it, the buffers.
type slot struct {
	op     *proactor.Op
	gen    uint32
	next   uint32 // of the free list, plus one
	kind   uint8  // of its last request
	silent bool   // a send that is not accounted for
	failed bool   // and has posted a completion
	res    int32  // with this result; or what a poll has seen
	round  uint32 // the turn that got is about
	got    int    // of its share in that turn
	pass   uint32 // the last reap that put off a completion of it
}

// slots is a slab with a free list.
type slots struct {
	all  []slot
	free uint32 // first free slot, plus one
	used int
}

// take gives op a slot.
func (s *slots) take(op *proactor.Op) uint32 {
	s.used++
	if s.free == 0 {
		s.all = append(s.all, slot{op: op})
		return uint32(len(s.all) - 1)
	}
	i := s.free - 1
	s.free = s.all[i].next
	s.all[i].op = op
	return i
}

// drop frees the slot: the kernel has released the operation.
func (s *slots) drop(i uint32) {
	s.used--
	s.all[i] = slot{gen: s.all[i].gen + 1, next: s.free}
	s.free = i + 1
}

// userData names the last request of the operation in slot i.
func (s *slots) userData(i uint32) uint64 { return pack(uint64(s.all[i].kind), s.all[i].gen, i) }

// find returns the slot that a user_data names, or nil if the operation has ended.
func (s *slots) find(userData uint64) *slot {
	i := uint32(userData)
	if int(i) >= len(s.all) {
		return nil
	}
	found := &s.all[i]
	if found.op == nil || found.gen&genMask != uint32(userData>>32)&genMask {
		return nil
	}
	return found
}
