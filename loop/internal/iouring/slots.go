package iouring

import "github.com/sluice-net/sluice/loop/internal/proactor"

// A completion finds its operation by its user_data: kind 8 bits, generation 24
// bits, slot 32 bits. It is never a pointer, and a completion that comes late
// for a slot that has a new owner is recognised by its generation.
const (
	kindOp     = iota // a slot's operation
	kindLazy          // a slot's send that posts a completion only when it fails
	kindIgnore        // nobody's
	kindWake          // the waker's
)

const genMask = 1<<24 - 1

func pack(kind uint64, gen, slot uint32) uint64 {
	return kind<<56 | uint64(gen&genMask)<<32 | uint64(slot)
}

// slot is an operation in flight. It keeps reachable what the kernel uses.
type slot struct {
	op     *proactor.Op
	gen    uint32
	next   uint32 // of the free list, plus one
	failed bool   // a lazy send posted a completion
	res    int32  // and this was its result
	hold   any    // what else the kernel reads or writes
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

// drop takes the slot back: the kernel has let go of the operation.
func (s *slots) drop(i uint32) {
	s.used--
	s.all[i] = slot{gen: s.all[i].gen + 1, next: s.free}
	s.free = i + 1
}

// userData names the operation in slot i.
func (s *slots) userData(kind uint64, i uint32) uint64 { return pack(kind, s.all[i].gen, i) }

// find returns the slot that a user_data names, or nil if that has gone.
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

// list is operations in order, first in, first out.
type list struct {
	ops  []*proactor.Op
	head int
}

func (l *list) empty() bool { return l.head == len(l.ops) }

func (l *list) push(op *proactor.Op) { l.ops = append(l.ops, op) }

// pop removes and returns the first operation, nil if there is none.
func (l *list) pop() *proactor.Op {
	if l.empty() {
		return nil
	}
	op := l.ops[l.head]
	l.ops[l.head] = nil
	l.head++
	if l.empty() {
		l.ops, l.head = l.ops[:0], 0
	}
	return op
}

func (l *list) len() int { return len(l.ops) - l.head }
