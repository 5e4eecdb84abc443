package epoll

import (
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"golang.org/x/sys/unix"
)

const (
	watchRead  = unix.EPOLLIN
	watchWrite = unix.EPOLLOUT
	always     = unix.EPOLLERR | unix.EPOLLHUP // reported whether watched or not
)

// slot is what is known about one descriptor.
//
//	unwatched --arm--> watched(mask) --arm, a useless event--> watched(other mask)
//	watched --useless event and no operations, CloseFD--> unwatched
//	watched --an error that no operation receives--> watched by edges
//	watched by edges --an event without one--> watched
//
// By edges (edge-triggered): the socket's error queue holds what only its owner can
// fetch, such as the timestamps of what was sent. That counts as an error in every
// turn for as long as it lies there, although no call fails with it.
type slot struct {
	reader *proactor.Op
	writer *proactor.Op
	polls  [2]*proactor.Op
	mask   uint32 // what the kernel watches; 0: unwatched
	gen    uint32 // of the descriptor: events of earlier ones with its number are stale
	edge   bool   // watched by edges
	file   bool   // not a socket: read and write instead of recv and send
	plain  bool   // a file that does not support RWF_NOWAIT
}

// wanted returns the mask that the operations need.
func (s *slot) wanted() uint32 {
	mask := uint32(0)
	if s.reader != nil {
		mask |= watchRead
	}
	if s.writer != nil {
		mask |= watchWrite
	}
	for _, op := range s.polls {
		if op != nil {
			mask |= uint32(op.Mask) | always
		}
	}
	return mask
}

// pageSlots is the number of slots in one page of the table.
const pageSlots = 256

// table has a slot for each descriptor that has had an operation. Slots do not
// move.
type table struct{ pages []*[pageSlots]slot }

// find returns fd's slot, or nil if there never was one.
func (t *table) find(fd int) *slot {
	if fd < 0 || fd/pageSlots >= len(t.pages) || t.pages[fd/pageSlots] == nil {
		return nil
	}
	return &t.pages[fd/pageSlots][fd%pageSlots]
}

// slotFor returns fd's slot, which must not be negative.
func (t *table) slotFor(fd int) *slot {
	page := fd / pageSlots
	for page >= len(t.pages) {
		t.pages = append(t.pages, nil)
	}
	if t.pages[page] == nil {
		t.pages[page] = new([pageSlots]slot)
	}
	return &t.pages[page][fd%pageSlots]
}

// arm puts op in its place in fd's slot and makes the kernel watch fd. If that is
// impossible op fails: with EBADF; with EBUSY if another operation is there; with
// EPERM for a regular file. A device that is always ready is read from all the
// same.
func (e *engine) arm(op *proactor.Op, fd int, flag uint16) {
	if fd < 0 {
		e.fail(op, syscall.EBADF)
		return
	}
	s := e.table.slotFor(fd)
	at := s.place(flag)
	if flag == pollFirst && *at != nil {
		flag++
		at = s.place(flag)
	}
	if *at != nil {
		e.fail(op, syscall.EBUSY)
		return
	}
	*at = op
	op.Engine.Flag = flag
	op.Engine.Slot = uint32(fd)
	want := s.wanted()
	// An operation that waits to write was tried: the edge is still to come.
	if want&^s.mask == 0 && (!s.edge || flag == writing) {
		return
	}
	if errno := e.watchAnew(s, fd, want); errno != 0 {
		*at = nil
		op.Engine.Flag = nowhere
		reads := op.Code == proactor.Recv || op.Code == proactor.RecvAny
		if errno == syscall.EPERM && reads && e.Pollable(fd) == nil {
			e.readUnwatched(s, op)
			return
		}
		e.fail(op, errno)
	}
}

// place returns where an operation with that flag is kept.
func (s *slot) place(flag uint16) **proactor.Op {
	switch flag {
	case reading:
		return &s.reader
	case writing:
		return &s.writer
	}
	return &s.polls[flag-pollFirst]
}

// detach takes op off its slot. The descriptor of a poll or of a child belongs to
// the user, who may close it behind the engine's back, so it is not left watched.
func (e *engine) detach(op *proactor.Op) {
	s := e.table.find(int(op.Engine.Slot))
	flag := op.Engine.Flag
	*s.place(flag) = nil
	op.Engine.Flag = nowhere
	if flag >= pollFirst || op.Code == proactor.Waitid {
		e.watch(s, int(op.Engine.Slot), s.wanted())
	}
}

// watch makes mask the events that the kernel watches fd for.
func (e *engine) watch(s *slot, fd int, mask uint32) {
	if mask != s.mask {
		e.watchAnew(s, fd, mask)
	}
}

// watchAnew is watch that also makes the kernel report again what is there. It
// repairs what has got out of step because somebody else closed or duplicated the
// descriptor.
func (e *engine) watchAnew(s *slot, fd int, mask uint32) syscall.Errno {
	call := unix.EPOLL_CTL_MOD
	switch {
	case mask == 0:
		call = unix.EPOLL_CTL_DEL
	case s.mask == 0:
		call = unix.EPOLL_CTL_ADD
	}
	errno := e.control(call, s, fd, mask)
	switch {
	case call == unix.EPOLL_CTL_DEL:
		errno = 0 // whatever the result, nothing is watched
	case errno == syscall.ENOENT:
		errno = e.control(unix.EPOLL_CTL_ADD, s, fd, mask)
	case errno == syscall.EEXIST:
		errno = e.control(unix.EPOLL_CTL_MOD, s, fd, mask)
	}
	s.mask = mask
	if errno != 0 {
		s.mask = 0
	}
	s.edge = s.edge && s.mask != 0
	return errno
}

func (e *engine) control(call int, s *slot, fd int, mask uint32) syscall.Errno {
	e.stats.Syscalls++
	if s.edge {
		mask |= unix.EPOLLET
	}
	return e.machine.Control(call, fd, mask, int32(s.gen))
}

// event carries out what has become possible on one descriptor. Handlers may cancel
// the other operations of the slot or close the descriptor meanwhile.
func (e *engine) event(ev *unix.EpollEvent) {
	fd, bits := int(ev.Fd), ev.Events
	if fd == e.waker.FD() {
		e.stats.Syscalls++
		e.machine.DrainEventfd(fd)
		return
	}
	s := e.table.find(fd)
	if s == nil || s.gen != uint32(ev.Pad) {
		return
	}
	gen, before := s.gen, e.stats.Completed
	if bits&^(s.wanted()|always) != 0 || s.wanted() == 0 {
		e.watch(s, fd, s.wanted())
	}
	if s.reader != nil && bits&(watchRead|unix.EPOLLRDHUP|always) != 0 {
		e.read(s, s.reader)
	}
	if s.gen == gen && s.writer != nil && bits&(watchWrite|always) != 0 {
		op := s.writer
		s.writer = nil
		op.Engine.Flag = nowhere
		e.write(op)
	}
	for i := range s.polls {
		if op := s.polls[i]; s.gen == gen && op != nil {
			if got := bits & (uint32(op.Mask) | always); got != 0 {
				e.polled(s, i, int32(got))
			}
		}
	}
	if s.gen == gen && s.mask != 0 {
		e.chooseEdge(s, fd, bits, e.stats.Completed != before)
	}
}

// polled delivers a completion of a poll. One that ends leaves its descriptor watched, in
// case its owner submits it again.
func (e *engine) polled(s *slot, at int, got int32) {
	op := s.polls[at]
	if op.Once {
		s.polls[at] = nil
		op.Engine.Flag = nowhere
	}
	e.stats.Completed++
	op.Deliver(got, !op.Once, nil)
}

// chooseEdge chooses whether fd is watched by edges, after an event that an
// operation took or did not take. By edges, what is left over must be asked for.
func (e *engine) chooseEdge(s *slot, fd int, bits uint32, took bool) {
	const some = watchRead | watchWrite | always
	switch {
	case !s.edge && (took || bits&some != unix.EPOLLERR):
		return
	case s.edge && !took && bits&unix.EPOLLERR != 0:
		return
	}
	s.edge = bits&unix.EPOLLERR != 0
	e.watchAnew(s, fd, s.mask)
}
