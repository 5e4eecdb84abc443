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

// Reader looks at a page, of this process or another one. It has its own mapping,
// read-only, so that nothing that the loop does is slowed down by it. One goroutine
// at a time may use it; what it returns is a copy.
//
// The page of a process that has ended is still there, and does not change.
type Reader struct {
	file  *os.File
	mem   []byte
	batch [batchSlots]words
	err   error
}

// batchSlots is how many slots are copied at a time.
const batchSlots = 64

// attemptsMax is how often a slot that changes hands meanwhile is read again before
// it is left out.
const attemptsMax = 8

// Find opens the pages of a process, one for each of its loops that has one, in the
// order in which they were made. The caller closes them.
//
// Errors: ErrNoPage where there is none, fs.ErrNotExist where there is no such
// process, fs.ErrPermission where it is another user's.
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

// Open opens the page that is the descriptor fd of a process.
//
// Errors: ErrNoPage, ErrVersion, and those of os.Open.
func Open(pid, fd int) (*Reader, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/fd/%d", pid, fd))
	if err != nil {
		return nil, err
	}
	return NewReader(f)
}

// NewReader returns a reader of the page that f is open on, and owns f from then
// on, also if it fails. What is no page is refused: the file must be on tmpfs and
// sealed against being made smaller, so that reading it is safe.
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

// Close frees the reader.
func (r *Reader) Close() error { return errors.Join(r.unmap(), r.file.Close()) }

// Header returns what the page says of its loop.
//
// Errors: ErrNoPage, ErrVersion; and where the kernel could not read the page.
func (r *Reader) Header() (Header, error) {
	now := monotonic()
	var raw [headerBytes / 8]uint64
	if err := r.guard(func() { r.load(raw[:], 0) }); err != nil {
		return Header{}, err
	}
	return decodeHeader(unsafe.Slice((*byte)(unsafe.Pointer(&raw)), headerBytes), now)
}

// Slots goes through the transports that have a slot now, in the order of slots.
// Those that come and go meanwhile are left out or not. What went wrong is Err.
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

// Err returns what ended the last Slots early, nil if nothing did.
func (r *Reader) Err() error { return r.err }

// slots is how many slots are mapped.
func (r *Reader) slots() int { return (len(r.mem) - headerSize) / slotSize }

// examine says whether it is safe to map the file. A file that shrinks, or one of
// huge pages, of which the kernel may have none left, can kill who reads it.
func (r *Reader) examine() error {
	fd := int(r.file.Fd())
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return os.NewSyscallError("fstatfs", err)
	}
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil || fs.Type != unix.TMPFS_MAGIC || seals&unix.F_SEAL_SHRINK == 0 {
		return fmt.Errorf("%w: %s is no sealed memory", ErrNoPage, r.file.Name())
	}
	return nil
}

// remap maps what there is of the file now.
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
// empty there.
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

// loadSlot reports whether all that it copied is of one transport.
func (r *Reader) loadSlot(w *words, offset int) bool {
	r.load(w[:], offset)
	var after [1]uint64
	r.load(after[:], offset)
	seq := seqOf(w[0])
	return seq&1 == 0 && seq == seqOf(after[0])
}

// seqOf is the sequence number in the first word of a slot, in memory its first half.
func seqOf(word uint64) uint32 { return *(*uint32)(unsafe.Pointer(&word)) }

// load copies words in order.
func (r *Reader) load(dst []uint64, offset int) {
	for i := range dst {
		dst[i] = atomic.LoadUint64((*uint64)(unsafe.Pointer(&r.mem[offset+8*i])))
	}
}

// guard calls f, which reads the page. That the page cannot be read, because the
// kernel cannot bring it back from where it was swapped to, is an error and not the
// end of the program; so is a page that is shorter than it says.
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
// readers have it open too, but not for writing.
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

// monotonic is the time of CLOCK_MONOTONIC.
func monotonic() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0
	}
	return now.Nano()
}
