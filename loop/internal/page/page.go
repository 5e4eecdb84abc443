package page

import (
	"errors"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sluice-net/sluice/transport/flowpage"
)

// Options say whose page it is.
type Options struct {
	Loop   uint32        // number of the loop in its process, from 1
	Engine uint32        // that carries operations out: EngineUring, …
	RingFD int           // of io_uring; -1: none
	Now    time.Duration // the loop's clock, whose times Tick and the like are given
}

// Page is a loop's, and its methods belong to that loop's goroutine.
type Page struct {
	fd   int
	mem  []byte // the whole range that there may ever be; the file is shorter
	head *header
	free []uint32 // released, the last one is used first
	used uint32   // slots that were ever used
	room uint32   // slots that the file has room for
	base int64    // CLOCK_MONOTONIC at time 0 of the loop's clock
	at   moment   // the loop's last look at its clock
}

// moment is a time in the two forms that slots have it in.
type moment struct {
	ns int64
	ms uint32 // since the page was made; after 49 days it begins again
}

// New makes a page. It costs a descriptor, 68 KiB of memory and 32 MiB of address
// space. The memory cannot be made smaller nor, from Linux 5.1 on, be mapped
// writable by anybody else (F_SEAL_SHRINK, F_SEAL_FUTURE_WRITE: fcntl(2)), and only
// the process's user and root may open it.
//
// Errors: *os.SyscallError.
func New(o Options) (*Page, error) {
	fd, err := create()
	if err != nil {
		return nil, err
	}
	p := &Page{fd: fd}
	if err := p.grow(); err != nil {
		unix.Close(fd)
		return nil, err
	}
	p.mem, err = unix.Mmap(fd, 0, headerSize+slotsMax*slotSize,
		unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("mmap", err)
	}
	if err := seal(fd); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	p.head = (*header)(unsafe.Pointer(&p.mem[0]))
	p.describe(o)
	return p, nil
}

// Close frees the page. A reader that has it open still sees what was last
// written, and that it is closed. No Slot may be used any more.
func (p *Page) Close() error {
	if p.mem == nil {
		return nil
	}
	if p.head != nil {
		p.head.busy.stop(p.at.ns)
		p.head.waiting.stop(p.at.ns)
		atomic.StoreUint32(&p.head.closed, 1)
	}
	err := os.NewSyscallError("munmap", unix.Munmap(p.mem))
	p.mem, p.head = nil, nil
	return errors.Join(err, os.NewSyscallError("close", unix.Close(p.fd)))
}

// FD is the descriptor of the page.
func (p *Page) FD() int { return p.fd }

// Tick sets the time that what is published from now on has: that of the loop's
// clock.
func (p *Page) Tick(now time.Duration) {
	p.at.ns = p.base + int64(now)
	p.head.at = p.at.ns
	p.at.ms = uint32((p.at.ns - p.head.made) / int64(time.Millisecond))
}

// Run says that the loop begins to run, on the thread tid.
func (p *Page) Run(now time.Duration, tid int) {
	p.Tick(now)
	p.head.tid = uint32(tid)
	p.head.turnAt = p.at.ns
	p.head.busy.start(p.at.ns)
}

// Turn says that the loop begins a round without having slept.
func (p *Page) Turn(now time.Duration) {
	p.Tick(now)
	p.head.turns++
	p.head.turnAt = p.at.ns
}

// Sleep says that the loop makes a call that may sleep.
func (p *Page) Sleep(now time.Duration) {
	p.Tick(now)
	p.head.busy.stop(p.at.ns)
	p.head.waiting.start(p.at.ns)
}

// Wake says that that call has returned.
func (p *Page) Wake(now time.Duration) {
	p.Tick(now)
	p.head.turnAt = p.at.ns
	p.head.waiting.stop(p.at.ns)
	p.head.busy.start(p.at.ns)
}

// Idle says that the loop does not run any more.
func (p *Page) Idle(now time.Duration) {
	p.Tick(now)
	p.head.busy.stop(p.at.ns)
	p.head.waiting.stop(p.at.ns)
}

// Identity is what does not change of a transport.
type Identity struct {
	Kind   flowpage.Kind // of what it is over
	FD     int           // in this process
	Cookie uint64        // SO_COOKIE of a socket; the inode of what is none
}

// Add gives a transport a slot. It returns nil, on which all methods do nothing,
// where there is no memory or the page is full; the header counts those.
func (p *Page) Add(id Identity) *Slot {
	index, ok := p.take()
	if !ok {
		p.head.unlisted++
		return nil
	}
	s := p.slot(index)
	seq := s.begin()
	s.identify(id.Cookie, id.FD, p.at.ns)
	s.kind, s.state = id.Kind, flowpage.StateMade
	s.settle(seq)
	p.head.used++
	return s
}

// Remove takes the slot back. A nil Slot is ignored.
func (p *Page) Remove(s *Slot) {
	if s == nil {
		return
	}
	seq := s.begin()
	s.identify(0, 0, 0)
	s.settle(seq)
	offset := uintptr(unsafe.Pointer(s)) - uintptr(unsafe.Pointer(&p.mem[headerSize]))
	p.free = append(p.free, uint32(offset/slotSize))
	p.head.used--
}

// take returns a slot that is free.
func (p *Page) take() (index uint32, ok bool) {
	if last := len(p.free) - 1; last >= 0 {
		index = p.free[last]
		p.free = p.free[:last]
		return index, true
	}
	if p.used == p.room && (p.used == slotsMax || p.grow() != nil) {
		return 0, false
	}
	p.used++
	atomic.StoreUint32(&p.head.slotCount, p.used)
	return p.used - 1, true
}

// grow makes the file a chunk longer. Its memory is allocated at once: where there
// is none, that is an error here instead of a SIGBUS at the first store.
func (p *Page) grow() error {
	room := p.room + chunkSlots
	err := unix.Fallocate(p.fd, 0, 0, headerSize+int64(room)*slotSize)
	for err == unix.EINTR { // Go preempts goroutines with a signal
		err = unix.Fallocate(p.fd, 0, 0, headerSize+int64(room)*slotSize)
	}
	if err != nil {
		return os.NewSyscallError("fallocate", err)
	}
	p.room = room
	free := make([]uint32, len(p.free), room) // so that Remove need not
	copy(free, p.free)
	p.free = free
	return nil
}

func (p *Page) slot(index uint32) *Slot {
	return (*Slot)(unsafe.Pointer(&p.mem[headerSize+int(index)*slotSize]))
}

// describe fills in the header. The magic number comes last: before, it is no page.
func (p *Page) describe(o Options) {
	var now unix.Timespec
	if o.Engine != EngineSim && unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) == nil {
		p.base = now.Nano() - int64(o.Now)
	}
	h := p.head
	h.version, h.headerSize, h.slotSize = version, headerSize, slotSize
	h.pid, h.loop, h.engine = uint32(os.Getpid()), o.Loop, o.Engine
	h.ringFD = int32(o.RingFD)
	h.made = p.base + int64(o.Now)
	p.Tick(o.Now)
	atomic.StoreUint64(&h.magic, magic)
}

// create makes the memfd: without the right to be executed where the kernel knows
// that (MFD_NOEXEC_SEAL, Linux 6.3, memfd_create(2)), which warns about those that
// do not say.
func create() (int, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate(name, flags|unix.MFD_NOEXEC_SEAL)
	if err == unix.EINVAL {
		fd, err = unix.MemfdCreate(name, flags)
	}
	if err != nil {
		return -1, os.NewSyscallError("memfd_create", err)
	}
	if err := unix.Fchmod(fd, 0o400); err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("fchmod", err)
	}
	return fd, nil
}

// seal lets the file only grow, so that no reader is killed by touching what is not
// there any more, and nobody else write to it.
func seal(fd int) error {
	const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_SEAL
	_, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals|unix.F_SEAL_FUTURE_WRITE)
	if err == unix.EINVAL {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals)
	}
	return os.NewSyscallError("fcntl", err)
}
