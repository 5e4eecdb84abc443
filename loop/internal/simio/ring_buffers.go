package simio

import (
	"sync/atomic"
	"syscall"
	"unsafe"
)

// bufGroup is the kernel's side of a ring of provided buffers. The table is in memory
// of the ring's.
type bufGroup struct {
	r     *ring
	id    uint16
	table []byte
	mask  uint16
	head  uint16 // the next to be taken
	seen  uint16 // entries that were looked at
	all   []*provided
}

// provided is a buffer of a group.
//
//	user's --given back, seen--> kernel's --taken--> lent --completion reaped--> user's
type provided struct {
	g     *bufGroup
	id    uint16
	mem   []byte
	state bufState
	until uint32 // lent: the CQ's head is this when its completion is reaped
	in    bool   // lent: its completion is in the CQ, not on the way there
}

type bufState uint8

const (
	usersBuf bufState = iota
	kernelsBuf
	lentBuf
)

func (g *bufGroup) entry(at uint16) *bufEntry {
	size := unsafe.Sizeof(bufEntry{})
	return (*bufEntry)(unsafe.Pointer(&g.table[uintptr(at&g.mask)*size]))
}

// tail is the table's: the upper half of the last word of entry 0.
func (g *bufGroup) tail() uint16 {
	word := (*uint32)(unsafe.Pointer(&g.table[12]))
	return uint16(atomic.LoadUint32(word) >> 16)
}

// lookAtBuffers takes over what was given back, and spoils it.
func (r *ring) lookAtBuffers() {
	for _, g := range r.groups {
		g.look()
	}
}

func (g *bufGroup) look() {
	w := g.r.w
	tail := g.tail()
	if tail-g.head > g.mask+1 {
		w.violate("buffer group %d: %d buffers in a table of %d", g.id, tail-g.head, g.mask+1)
	}
	for ; g.seen != tail; g.seen++ {
		e := g.entry(g.seen)
		if int(e.bid) >= len(g.all) {
			w.violate("buffer group %d: there is no buffer %d", g.id, e.bid)
		}
		p := g.all[e.bid]
		switch p.now() {
		case kernelsBuf:
			w.violate("buffer group %d: buffer %d was given back twice", g.id, e.bid)
		case lentBuf:
			w.violate("buffer group %d: buffer %d was given back before its completion "+
				"was seen", g.id, e.bid)
		}
		mem := g.r.m.maps.find(e.addr, uint64(e.len))
		if mem == nil || p.mem != nil && !same(mem, p.mem) {
			w.violate("buffer group %d: buffer %d is not in memory of the ring, or moved",
				g.id, e.bid)
		}
		p.mem, p.state = mem, kernelsBuf
		poison(mem)
	}
}

// now is whose the buffer is by now.
func (p *provided) now() bufState {
	if p.state == lentBuf && p.in && int32(p.g.r.cqHead()-p.until) >= 0 {
		return usersBuf
	}
	return p.state
}

// peek returns the buffer that would be taken next, nil if there is none.
func (g *bufGroup) peek() *provided {
	g.look()
	if g.head == g.seen {
		return nil
	}
	p := g.all[g.entry(g.head).bid]
	if !poisoned(p.mem) {
		g.r.w.violate("buffer group %d: buffer %d was written to while it was the kernel's",
			g.id, p.id)
	}
	return p
}

// take takes the buffer that peek has returned.
func (p *provided) take() {
	p.g.head++
	p.state, p.in = lentBuf, false
}

// posted notes where in the CQ the buffer's completion is.
func (p *provided) posted(tail uint32) { p.until, p.in = tail, true }

// group returns a group by its number, nil if there is none.
func (r *ring) group(id uint16) *bufGroup {
	for _, g := range r.groups {
		if g.id == id {
			return g
		}
	}
	return nil
}

func (r *ring) addGroup(reg *bufReg) Errno {
	size := int(reg.entries) * int(unsafe.Sizeof(bufEntry{}))
	table := r.m.maps.find(reg.addr, uint64(size))
	switch {
	case reg.entries == 0 || reg.entries > 1<<15 || reg.entries&(reg.entries-1) != 0,
		reg.flags != 0:
		return syscall.EINVAL
	case table == nil:
		return syscall.EFAULT
	case r.group(reg.group) != nil:
		return syscall.EEXIST
	}
	g := &bufGroup{r: r, id: reg.group, table: table, mask: uint16(reg.entries - 1)}
	for id := range reg.entries {
		g.all = append(g.all, &provided{g: g, id: uint16(id)})
	}
	r.groups = append(r.groups, g)
	return 0
}

func (r *ring) dropGroup(id uint16) Errno {
	for i, g := range r.groups {
		if g.id == id {
			r.groups = append(r.groups[:i:i], r.groups[i+1:]...)
			return 0
		}
	}
	return syscall.ENOENT
}

// registers reports whether n bytes at addr are in a registered buffer.
func (r *ring) registers(index uint16, addr uint64, n uint32) bool {
	if int(index) >= len(r.buffers) {
		return false
	}
	b := r.buffers[index]
	return addr >= b.addr && addr-b.addr+uint64(n) <= b.len
}
