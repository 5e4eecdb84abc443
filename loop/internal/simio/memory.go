package simio

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// freedMax is how much freed memory is kept, to see who still uses it.
const freedMax = 8 << 20

// piece is memory of Alloc. Freed pieces are kept for a while: their memory is
// not given out again, so that whoever still uses it is found.
type piece struct {
	mem   []byte
	freed bool
	users int // operations in flight
}

func (p *piece) start() uintptr { return address(p.mem) }

// address is where b begins. It is compared, never dereferenced.
func address(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

// allocator keeps the pieces, by address, and the freed ones by age.
type allocator struct {
	w         *World
	pieces    []*piece
	graveyard []*piece
	buried    int // bytes
}

// Alloc implements proactor.Memory.
func (e *Engine) Alloc(n int) []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.check(n > 0, "Alloc of no bytes")
	mem := make([]byte, n)
	i, _ := e.memory.search(address(mem))
	e.memory.pieces = slices.Insert(e.memory.pieces, i, &piece{mem: mem})
	return mem
}

// Free implements proactor.Memory.
func (e *Engine) Free(b []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.memory.find(b)
	switch {
	case p == nil || !same(p.mem, b):
		e.violate("Free of %d bytes that are not whole from Alloc", len(b))
	case p.freed:
		e.violate("Free of %d bytes for the second time", len(b))
	case p.users > 0:
		e.violate("Free of %d bytes with an operation in flight on them", len(b))
	}
	e.memory.retire(p)
}

// search returns the index of the first piece that begins at or after addr.
func (a *allocator) search(addr uintptr) (int, bool) {
	return slices.BinarySearchFunc(a.pieces, addr, func(p *piece, addr uintptr) int {
		switch start := p.start(); {
		case start < addr:
			return -1
		case start > addr:
			return 1
		}
		return 0
	})
}

// find returns the piece in which b begins, nil if none.
func (a *allocator) find(b []byte) *piece {
	if len(b) == 0 {
		return nil
	}
	i, exact := a.search(address(b))
	if !exact {
		i--
	}
	if i < 0 {
		return nil
	}
	p := a.pieces[i]
	if address(b) >= p.start()+uintptr(len(p.mem)) {
		return nil
	}
	return p
}

func (a *allocator) retire(p *piece) {
	p.freed = true
	poison(p.mem)
	a.graveyard = append(a.graveyard, p)
	a.buried += len(p.mem)
	for a.buried > freedMax {
		a.exhume()
	}
}

// exhume lets go of the oldest freed piece, if it was left alone.
func (a *allocator) exhume() {
	p := a.graveyard[0]
	a.graveyard = a.graveyard[1:]
	a.buried -= len(p.mem)
	i, _ := a.search(p.start())
	a.pieces = slices.Delete(a.pieces, i, i+1)
	if !poisoned(p.mem) {
		a.w.violate("%d bytes of Alloc were written to after Free", len(p.mem))
	}
}

// checkLive panics when one of bufs was freed.
func (a *allocator) checkLive(f *file, bufs [][]byte) {
	for _, b := range bufs {
		p := a.find(b)
		switch {
		case p == nil || !p.freed:
		case f == nil:
			a.w.violate("%d bytes of Alloc used after Free", len(b))
		default:
			f.blame("%d bytes of Alloc used after Free", len(b))
		}
	}
}

// pin notes that fl uses what it lies in.
func (a *allocator) pin(fl *flight) []*piece {
	var pieces []*piece
	for _, b := range fl.memory() {
		if p := a.find(b); p != nil {
			p.users++
			pieces = append(pieces, p)
		}
	}
	return pieces
}

func (a *allocator) unpin(pieces []*piece) {
	for _, p := range pieces {
		p.users--
	}
}

func (a *allocator) leaks() []string {
	var leaks []string
	for _, p := range a.pieces {
		if !p.freed {
			leaks = append(leaks, fmt.Sprintf("%d bytes of Alloc", len(p.mem)))
		}
	}
	return leaks
}

// takeBuffer returns a receive buffer for fl, or nil: then fl is tried again
// when there is one.
func (e *Engine) takeBuffer(fl *flight) []byte {
	if e.out >= e.cfg.BuffersMax {
		e.starved = append(e.starved, fl)
		e.exhausted(fl)
		return nil
	}
	if e.net.chance(e.faults.NoBuffers) {
		e.exhausted(fl)
		fl.again()
		return nil
	}
	e.out++
	if n := len(e.spare); n > 0 {
		buf := e.spare[n-1]
		e.spare = e.spare[:n-1]
		return buf
	}
	buf := make([]byte, e.cfg.BufferSize)
	e.bufs = append(e.bufs, buf)
	return buf
}

// exhausted counts, and has the owner of the engine told in Wait.
func (e *Engine) exhausted(fl *flight) {
	e.stats.BuffersExhausted++
	group := proactor.StreamBuffers
	if fl.op.Code == proactor.RecvMsg {
		group = proactor.DatagramBuffers
	}
	e.notices[group]++
	fl.file.record("no buffer", 0)
	if e.observer != nil {
		e.observer.Starved(fl.op)
	}
}

// retried says that a receive that found no buffer is tried again.
func (e *Engine) retried(fl *flight) {
	if e.observer != nil {
		e.observer.Retried(fl.op)
	}
}

// offer tells the receiver of data which buffer that is in, and whether it may keep
// the buffer: at most half of all.
func (e *Engine) offer(op *proactor.Op, data []byte) {
	number := slices.IndexFunc(e.bufs, func(buf []byte) bool {
		return address(buf) == address(data)
	})
	op.Keep, op.Keepable, op.Buffer = false, len(e.kept) < e.cfg.BuffersMax/2, uint16(number)
}

// takeBack takes back the buffer of what was delivered, unless its receiver keeps it.
func (e *Engine) takeBack(op *proactor.Op, data []byte) {
	if op.Code != proactor.RecvAny || !op.Keep {
		e.giveBuffer(data)
		return
	}
	e.check(op.Keepable, "a buffer is kept that must not be")
	e.kept = append(e.kept, op.Buffer)
}

// GiveBack implements proactor.Memory.
func (e *Engine) GiveBack(buffer uint16) {
	e.mu.Lock()
	defer e.mu.Unlock()
	i := slices.Index(e.kept, buffer)
	e.check(i >= 0, "GiveBack of a buffer that nobody keeps")
	e.kept = slices.Delete(e.kept, i, i+1)
	e.giveBuffer(e.bufs[buffer])
	if !e.over {
		e.settle()
	}
}

// giveBuffer takes back a buffer after Complete, spoiled.
func (e *Engine) giveBuffer(buf []byte) {
	poison(buf)
	e.out--
	e.spare = append(e.spare, buf[:cap(buf)])
	for _, fl := range e.starved {
		e.retried(fl)
		fl.file.touch()
	}
	e.starved = e.starved[:0]
}
