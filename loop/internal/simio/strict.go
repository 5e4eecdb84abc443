package simio

import (
	"bytes"
	"fmt"
	"unsafe"

	"github.com/sluice-net/sluice/loop/internal/debug"
)

// poisonByte fills memory that somebody is not to look at.
const poisonByte = 0xA5

// poison spoils b.
func poison(b []byte) { debug.Fill(b, poisonByte) }

// poisoned reports whether b is as poison left it. Like poison, it does not loop
// over bytes.
func poisoned(b []byte) bool {
	return len(b) == 0 || b[0] == poisonByte && bytes.Equal(b[1:], b[:len(b)-1])
}

// Violations returns the messages of all strictness panics so far. A loop that
// recovers from panics in callbacks does not hide them from a test that asks.
func (w *World) Violations() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.violations[:len(w.violations):len(w.violations)]
}

// violate panics because the caller broke a rule.
func (w *World) violate(format string, args ...any) {
	message := "simio: " + fmt.Sprintf(format, args...)
	w.violations = append(w.violations, message)
	panic(message)
}

// check is violate unless ok.
func (w *World) check(ok bool, what string) {
	if !ok {
		w.violate("%s", what)
	}
}

// blame is violate with the last that happened to f.
func (f *file) blame(format string, args ...any) {
	f.w.violate("%s\n%s", fmt.Sprintf(format, args...), f.describe())
}

// describe says what f is and what happened to it last.
func (f *file) describe() string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "fd %d, %s, %s; its last events (ns, what, fd, result, checksum):",
		f.fd, kindNames[f.kind], stageNames[f.stage])
	first := max(0, f.trailCount-len(f.trail))
	for i := first; i < f.trailCount; i++ {
		line := f.trail[i%len(f.trail)].append(nil)
		fmt.Fprintf(&b, "\n  %s", line[:len(line)-1])
	}
	for _, op := range f.flights {
		fmt.Fprintf(&b, "\n  in flight: %s, %s", op.title(), op.status())
	}
	return b.String()
}

// open returns the open file fd, nil if there is none.
func (w *World) open(fd int) *file {
	if i := fd - firstFD; i >= 0 && i < len(w.files) {
		return w.files[i]
	}
	return nil
}

// need is open, but panics when fd was closed: a descriptor used after its close
// may be a stranger's by then. It returns nil for one that never was, EBADF.
func (w *World) need(fd int, what string) *file {
	f := w.open(fd)
	if f == nil && w.closed[fd] != nil {
		w.closed[fd].blame("%s on fd %d, which is closed", what, fd)
	}
	return f
}

// must is need for the calls of tests: fd has to be open.
func (w *World) must(fd int, what string) *file {
	f := w.need(fd, what)
	if f == nil {
		w.violate("%s on fd %d, which was never open", what, fd)
	}
	return f
}

// checkSlots panics when op would be a second receive or a second send.
func (fl *flight) checkSlots() {
	if fl.file == nil {
		return
	}
	for _, other := range fl.file.flights {
		if fl.receives() && other.takesFrom(fl.file) {
			fl.file.blame("%s submitted with %s in flight: two receives on fd %d",
				fl.code, other.title(), fl.file.fd)
		}
		if fl.sends() && other.putsInto(fl.file) {
			fl.file.blame("%s submitted with %s in flight: two sends on fd %d",
				fl.code, other.title(), fl.file.fd)
		}
	}
}

// checkOwner panics when the operation's owner touched what is the kernel's.
func (fl *flight) checkOwner() {
	op := fl.op
	if op.Code != fl.code || op.FD != fl.fd || !same(op.Buf, fl.buf) ||
		len(op.Bufs) != len(fl.bufs) {
		fl.file.blame("the owner changed its %s while it was in flight", fl.code)
	}
	for i, b := range fl.bufs {
		if !same(op.Bufs[i], b) {
			fl.file.blame("the owner changed the slices of its %s in flight", fl.code)
		}
	}
	if checksum(fl.memory()) != fl.sum {
		fl.file.blame("the buffer of a %s on fd %d was written to while it was the kernel's",
			fl.code, fl.fd)
	}
}

// same reports whether two slices are the same memory.
func same(a, b []byte) bool {
	return len(a) == len(b) && unsafe.SliceData(a) == unsafe.SliceData(b)
}

// checkIdle panics when an operation is in flight on f.
func (f *file) checkIdle(what string) {
	for _, op := range f.flights {
		if !op.outlives() {
			f.blame("%s of fd %d with %s in flight on it", what, f.fd, op.title())
		}
	}
}

// checkNoSend panics when a send is in flight on f.
func (f *file) checkNoSend(what string) {
	for _, op := range f.flights {
		if op.putsInto(f) && !op.connects() {
			f.blame("%s on fd %d with %s in flight", what, f.fd, op.title())
		}
	}
}
