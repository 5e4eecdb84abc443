package iouring

import "github.com/sluice-net/sluice/loop/internal/proactor"

// list is a queue of operations, first in, first out.
type list struct {
	ops  []*proactor.Op
	head int
}

func (l *list) empty() bool { return l.head == len(l.ops) }

func (l *list) push(op *proactor.Op) { l.ops = append(l.ops, op) }

// pop removes and returns the first operation, or nil if there is none.
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

// first returns the first operation of a list that is not empty.
func (l *list) first() *proactor.Op { return l.ops[l.head] }

// sweep moves the operations that were cancelled to the list cancelledEarly.
func (l *list) sweep(cancelEarly func(op *proactor.Op)) {
	kept := l.ops[:0]
	for _, op := range l.ops[l.head:] {
		if op.Cancelling() {
			cancelEarly(op)
		} else {
			kept = append(kept, op)
		}
	}
	clear(l.ops[len(kept):])
	l.ops, l.head = kept, 0
}
