package fdio

import (
	"hash/crc32"
	"unsafe"

	"github.com/sluice-net/sluice/loop/internal/debug"
	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// lendMin is the least that is sent from the receive buffer it lies in. To copy less
// costs less than to give the buffer back later (decision 0028).
const lendMin = 4 << 10

// A loan is the right of a chunk of output to lie in a receive buffer: the number of
// the buffer plus 1; 0 is none.
type loan uint32

// A lender lends the receive buffers of a loop to the output of its streams, so that
// what a protocol passes on from inside DataReceived is not copied. This is the state
// of a buffer:
//
//	                   a part is written         the callback returns
//	delivered: ours ---------------------> lent ----------------------> kept
//	   |      ^                             |                            |
//	   |      +---- the last part is back --+                            |
//	   | the callback returns                    the last part is back   |
//	   +----------------------------> the engine's <---------------------+
//
// A part is lent for as long as a round takes. It is back when it was sent or dropped;
// what could not be sent at the end of the round is copied. So no peer that does not
// read can hold buffers from which others would receive.
//
// A lender is for the loop's goroutine. The zero value lends nothing.
type lender struct {
	engine proactor.Proactor
	op     *proactor.Op // whose data is being delivered and may be lent; nil: none
	data   []byte       // of op, what was received
	parts  []uint32     // by number of a buffer: how many parts of it are lent

	// Only where mistakes are looked for.

	strict bool
	lent   []lentPart      // of data
	spoil  map[loan][]byte // what is overwritten when it is back
}

// lentPart is a part of what is being delivered.
type lentPart struct {
	p   []byte
	sum uint32
}

// deliver begins the delivery of what op has received. If strict is set, delivered
// finds out whether the protocol changes what it has written.
func (l *lender) deliver(engine proactor.Proactor, op *proactor.Op, strict bool) {
	if len(op.Data) < lendMin || !op.Keepable {
		return
	}
	l.engine, l.op, l.data, l.strict = engine, op, op.Data, strict
}

// delivered ends the delivery. The engine gets the buffer back, now or with the last
// part. It reports whether anything was changed after it was written.
func (l *lender) delivered() (changed bool) {
	if l.op == nil {
		return false
	}
	if l.strict {
		changed = l.inspect()
	}
	l.op, l.data = nil, nil
	return changed
}

// lend returns a loan for p, if p is at least lendMin bytes of what is being delivered.
func (l *lender) lend(p []byte) loan {
	if l.op == nil || len(p) < lendMin {
		return 0
	}
	// Both addresses are of slices that are alive. Only their distance is looked at.
	off := uintptr(unsafe.Pointer(unsafe.SliceData(p))) -
		uintptr(unsafe.Pointer(unsafe.SliceData(l.data)))
	if off > uintptr(len(l.data)) || len(p) > len(l.data)-int(off) {
		return 0
	}
	number := int(l.op.Buffer)
	for len(l.parts) <= number {
		l.parts = append(l.parts, 0)
	}
	l.parts[number]++
	l.op.Keep = true
	if l.strict {
		l.lent = append(l.lent, lentPart{p, crc32.ChecksumIEEE(p)})
	}
	return loan(number + 1)
}

// repay ends a loan.
func (l *lender) repay(of loan) {
	number := int(of) - 1
	l.parts[number]--
	switch {
	case l.parts[number] > 0:
	case l.op != nil && int(l.op.Buffer) == number:
		l.op.Keep = false
	default:
		if data, ok := l.spoil[of]; ok {
			debug.Overwrite(data)
			delete(l.spoil, of)
		}
		l.engine.GiveBack(uint16(number))
	}
}

// inspect reports whether what is lent has changed, and has it overwritten when it is
// back.
func (l *lender) inspect() (changed bool) {
	for _, part := range l.lent {
		changed = changed || crc32.ChecksumIEEE(part.p) != part.sum
	}
	clear(l.lent)
	l.lent = l.lent[:0]
	if l.op.Keep {
		if l.spoil == nil {
			l.spoil = map[loan][]byte{}
		}
		l.spoil[loan(l.op.Buffer)+1] = l.data
	}
	return changed
}
