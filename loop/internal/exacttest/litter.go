package exacttest

import (
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// litterSizes are the sizes of what Litter allocates, in bytes: those of lists of
// iovecs and message headers, of slices that are written, and of the chunks into
// which transports copy.
var litterSizes = []int{16, 48, 64, 512, 4 << 10, 16 << 10, 64 << 10}

// Litter allocates memory that is filled with Marker and collects garbage without
// rest until stop is called, which waits for its end. Memory that was let go of too
// early, while the kernel still reads or writes it, soon belongs to Litter: what the
// kernel reads is the marker, and where it was a list of iovecs, they point to the
// marker. rest is how long it pauses between two collections, for a machine that has
// something else to do.
func Litter(rest time.Duration) (stop func()) {
	var done atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		l := litter{marked: make([]byte, 64<<10)}
		mark(l.marked)
		for i := 0; !done.Load(); i++ {
			l.drop(i)
			if i%64 == 0 {
				runtime.Gosched()
			}
		}
	})
	wg.Go(func() {
		tick := time.NewTimer(rest)
		defer tick.Stop()
		for !done.Load() {
			runtime.GC()
			tick.Reset(rest)
			<-tick.C
		}
	})
	return func() {
		done.Store(true)
		wg.Wait()
	}
}

// litter is what was allocated last. It is kept for a moment, or it would not be
// allocated on the heap.
type litter struct {
	marked []byte
	bytes  [64][]byte
	vecs   [16][]syscall.Iovec
}

// drop allocates the i-th piece and lets go of an older one.
func (l *litter) drop(i int) {
	size := litterSizes[i%len(litterSizes)]
	b := make([]byte, size)
	mark(b)
	l.bytes[i%len(l.bytes)] = b
	if i%4 > 0 {
		return
	}
	v := make([]syscall.Iovec, max(size/int(unsafe.Sizeof(syscall.Iovec{})), 1))
	for j := range v {
		v[j].Base = &l.marked[0]
		v[j].SetLen(12)
	}
	l.vecs[i/4%len(l.vecs)] = v
}

// mark fills b with the marker.
func mark(b []byte) {
	for n := copy(b, Marker); n < len(b); n *= 2 {
		copy(b[n:], b[:n])
	}
}

// Spoil fills b with the marker: whoever still sends it is found out.
func Spoil(b []byte) {
	if len(b) > 0 {
		mark(b)
	}
}
