package simio

import (
	"slices"
	"syscall"
	"unsafe"
)

// mappings are the memory that a machine has given out, by address.
type mappings struct{ all [][]byte }

// add returns n bytes of zeroes. They are mapped, as on Linux: what is never touched
// costs nothing, and a use after the end is a fault.
func (a *mappings) add(n int) []byte {
	b, err := syscall.Mmap(-1, 0, n, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		panic("simio: no memory: " + err.Error())
	}
	i, _ := a.search(address(b))
	a.all = slices.Insert(a.all, i, b)
	return b
}

// remove takes back what was given out. It reports whether b was that, whole.
func (a *mappings) remove(b []byte) bool {
	i, ok := a.search(address(b))
	if !ok || len(a.all[i]) != len(b) {
		return false
	}
	a.all = slices.Delete(a.all, i, i+1)
	return syscall.Munmap(b) == nil
}

// search returns the index of the first that begins at or after addr.
func (a *mappings) search(addr uintptr) (int, bool) {
	return slices.BinarySearchFunc(a.all, addr, func(b []byte, addr uintptr) int {
		switch start := address(b); {
		case start < addr:
			return -1
		case start > addr:
			return 1
		}
		return 0
	})
}

// find returns the n bytes at addr, nil if they are not in memory that was given out.
func (a *mappings) find(addr uint64, n uint64) []byte {
	i, exact := a.search(uintptr(addr))
	if !exact {
		i--
	}
	if i < 0 {
		return nil
	}
	b, off := a.all[i], addr-uint64(address(a.all[i]))
	if off > uint64(len(b)) || n > uint64(len(b))-off {
		return nil
	}
	return b[off : off+n : off+n]
}

// pointer is an address that came as a number. It goes through memory because it
// points into no object that the compiler knows of.
func pointer(addr uint64) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&addr)) }

// staged returns the n bytes that an SQE points to and that the kernel reads when it
// takes it: they have to be in the ring's own memory, where no collector looks.
func (t *task) staged(addr uint64, n int, what string) []byte {
	b := t.r.m.maps.find(addr, uint64(n))
	if b == nil {
		t.violate("%s of %d bytes is not in memory of the ring", what, n)
	}
	t.leavings = append(t.leavings, b)
	return b
}

// lent returns the n bytes that an SQE lends to the kernel until it completes.
func (t *task) lent(addr, n uint64, what string) []byte {
	if n == 0 {
		return nil
	}
	m := t.r.m
	if b := m.maps.find(addr, n); b != nil {
		return b
	}
	if m.audit != nil && t.file.event == nil && !m.audit.owns(addr, n) {
		t.violate("%s of %d bytes is of no operation in flight", what, n)
	}
	return unsafe.Slice((*byte)(pointer(addr)), n)
}

// litter spoils what was staged for an SQE, now that it is taken.
func (t *task) litter() {
	for _, b := range t.leavings {
		poison(b)
	}
	t.leavings = nil
}

// violate is World.violate with what the SQE is.
func (t *task) violate(format string, args ...any) {
	args = append([]any{t.title(), t.sqe.userData, t.sqe.fd}, args...)
	t.r.w.violate("%s, user_data %#x, fd %d: "+format, args...)
}
