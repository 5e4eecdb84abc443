package flowpage

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Reader reads a page, of this process or another one. It has its own read-only
// mapping, so it does not slow the loop down. It must not be used by several
// goroutines at once; what it returns is a copy.
//
// The page of a process that has ended remains readable, and no longer changes.
type Reader struct {
	file  *os.File
	mem   []byte
	batch [batchSlots]words
	err   error
}

// batchSlots is the number of slots copied at a time.
const batchSlots = 64

// attemptsMax is how often a slot that changes hands while it is copied is read
// again before it is left out.
const attemptsMax = 8

// Find opens the pages of a process, one for each of its loops that has one, in the
// order in which they were created. The caller must close them.
//
// Errors: ErrNoPage if there is none, fs.ErrNotExist if there is no such process,
// fs.ErrPermission if it belongs to another user.
func Find(pid int) ([]*Reader, error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var readers []*Reader
	var refused error
	for _, entry := range entries {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil || !isPage(dir+"/"+entry.Name()) {
			continue
		}
		r, err := Open(pid, fd)
		if err != nil {
			refused = err
			continue
		}
		readers = append(readers, r)
	}
	if readers == nil && refused != nil {
		return nil, refused
	}
	if readers == nil {
		return nil, fmt.Errorf("%w: process %d has none", ErrNoPage, pid)
	}
	return inOrder(readers), nil
}

// Open opens the page that the descriptor fd of a process refers to.
//
// Errors: ErrNoPage, ErrVersion, and those of os.Open.
func Open(pid, fd int) (*Reader, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/fd/%d", pid, fd))
	if err != nil {
		return nil, err
	}
	return NewReader(f)
}

// NewReader returns a reader of the page that f has open, and takes ownership of f,
// even if it fails. A file that is not a page is refused: it must be on tmpfs and
// sealed against shrinking, so that reading it is safe.
//
// Errors: ErrNoPage, ErrVersion, and those of the system calls.
func NewReader(f *os.File) (*Reader, error) {
	r := &Reader{file: f}
	err := r.examine()
	if err == nil {
		err = r.remap()
	}
	if err == nil {
		_, err = r.Header()
	}
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Close unmaps the page and closes its file.
func (r *Reader) Close() error { return errors.Join(r.unmap(), r.file.Close()) }

// Header returns what the page says about its loop.
//
// Errors: ErrNoPage, ErrVersion; and an error if the kernel could not read the
// page.
func (r *Reader) Header() (Header, error) {
	now := monotonic()
	var raw [headerBytes / 8]uint64
	if err := r.guard(func() { r.load(raw[:], 0) }); err != nil {
		return Header{}, err
	}
	return decodeHeader(unsafe.Slice((*byte)(unsafe.Pointer(&raw)), headerBytes), now)
}

// Slots iterates over the transports that have a slot now, in the order of slots.
// Those that come or go during the iteration may be left out. Err returns the error
// that ended it, if any.
func (r *Reader) Slots() iter.Seq[Transport] {
	return func(yield func(Transport) bool) {
		h, err := r.Header()
		if err == nil && r.slots() < h.SlotCount {
			err = r.remap()
		}
		count := min(h.SlotCount, r.slots())
		for first := 0; first < count && err == nil; first += batchSlots {
			n := min(batchSlots, count-first)
			if err = r.loadSlots(first, n); err != nil {
				break
			}
			for i := range n {
				t, ok := decodeSlot(&r.batch[i], first+i, h)
				if ok && !yield(t) {
					return
				}
			}
		}
		r.err = err
	}
}

// Err returns the error that ended the last Slots early, or nil.
func (r *Reader) Err() error { return r.err }

// slots returns the number of slots that are mapped.
func (r *Reader) slots() int { return (len(r.mem) - headerSize) / slotSize }

// examine returns an error if it is not safe to map the file. A file that shrinks,
// or one of huge pages, of which the kernel may have none left, can kill its
// reader.
func (r *Reader) examine() error {
	fd := int(r.file.Fd())
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return os.NewSyscallError("fstatfs", err)
	}
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil || fs.Type != unix.TMPFS_MAGIC || seals&unix.F_SEAL_SHRINK == 0 {
		return fmt.Errorf("%w: %s is not sealed memory", ErrNoPage, r.file.Name())
	}
	return nil
}

// remap maps the file at its current size.
func (r *Reader) remap() error {
	info, err := r.file.Stat()
	if err != nil {
		return err
	}
	size := min(info.Size(), headerSize+SlotsMax*slotSize)
	if size < headerSize {
		return fmt.Errorf("%w: %d bytes", ErrNoPage, size)
	}
	if err := r.unmap(); err != nil {
		return err
	}
	r.mem, err = unix.Mmap(int(r.file.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
	return os.NewSyscallError("mmap", err)
}

func (r *Reader) unmap() error {
	if r.mem == nil {
		return nil
	}
	mem := r.mem
	r.mem = nil
	return os.NewSyscallError("munmap", unix.Munmap(mem))
}

// loadSlots copies n slots into the batch. Those that changed hands meanwhile are
// left empty there.
func (r *Reader) loadSlots(first, n int) error {
	return r.guard(func() {
		for i := range n {
			w, offset := &r.batch[i], headerSize+(first+i)*slotSize
			for attempt := 0; !r.loadSlot(w, offset); attempt++ {
				if *w = (words{}); attempt == attemptsMax {
					break
				}
			}
		}
	})
}

// loadSlot copies a slot and reports whether all of it is of one transport.
func (r *Reader) loadSlot(w *words, offset int) bool {
	r.load(w[:], offset)
	var after [1]uint64
	r.load(after[:], offset)
	seq := seqOf(w[0])
	return seq&1 == 0 && seq == seqOf(after[0])
}

// seqOf returns the sequence number in the first word of a slot, whose first half
// in memory it is.
func seqOf(word uint64) uint32 { return *(*uint32)(unsafe.Pointer(&word)) }

// load copies words in order.
func (r *Reader) load(dst []uint64, offset int) {
	for i := range dst {
		dst[i] = atomic.LoadUint64((*uint64)(unsafe.Pointer(&r.mem[offset+8*i])))
	}
}

// guard calls f, which reads the page. If the page cannot be read, because the
// kernel cannot bring it back from swap or because the page is shorter than it
// claims, guard returns an error instead of letting the program crash.
func (r *Reader) guard(f func()) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("flowpage: %s cannot be read: %v", r.file.Name(), fault)
		}
	}()
	f()
	return nil
}

// isPage reports whether a link in /proc is that of the writer's descriptor:
// readers have the page open too, but not for writing.
func isPage(link string) bool {
	target, err := os.Readlink(link)
	if err != nil || !strings.HasPrefix(target, "/memfd:"+Name) {
		return false
	}
	info, err := os.Lstat(link)
	return err == nil && info.Mode()&0o200 != 0
}

// inOrder sorts readers by the numbers of their loops.
func inOrder(readers []*Reader) []*Reader {
	loops := map[*Reader]int{}
	for _, r := range readers {
		if h, err := r.Header(); err == nil {
			loops[r] = h.Loop
		}
	}
	slices.SortStableFunc(readers, func(a, b *Reader) int { return loops[a] - loops[b] })
	return readers
}

// monotonic returns the time of CLOCK_MONOTONIC.
func monotonic() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0
	}
	return now.Nano()
}
