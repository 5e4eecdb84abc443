package simio

import (
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// Epoll is a Machine as an engine on epoll sees it: the calls of package epoll's
// Machine, which that engine runs on unchanged. It has one epoll instance.
//
// It tells what a kernel may tell, at the worst moment: late, a few at a time, in any
// order, of what is not there any more. It panics at what a kernel would bear: see
// Control, empty and full.
//
// The methods are for the loop's goroutine, what Eventfd returns for any.
type Epoll struct {
	*Machine
	opened  bool
	watches []*watch // those who were told of longest ago first
	stale   []*watch // of descriptors that are closed
}

// NewEpoll returns a machine in a world of its own. Options.Config is not used.
func NewEpoll(o Options) *Epoll { return NewWorld(o).NewEpoll() }

// NewEpoll returns one more machine in the world.
func (w *World) NewEpoll() *Epoll {
	m := w.NewMachine()
	m.epoll = &Epoll{Machine: m}
	return m.epoll
}

var _ proactor.Spawner = (*Epoll)(nil)

// OpenEpoll makes the epoll instance.
func (s *Epoll) OpenEpoll() error {
	s.call()
	defer s.mu.Unlock()
	s.check(!s.opened, "an epoll instance is opened twice")
	s.opened = true
	return nil
}

// CloseEpoll closes it. What it watches is forgotten.
func (s *Epoll) CloseEpoll() error {
	s.call()
	defer s.mu.Unlock()
	s.check(s.opened, "close of an epoll instance that is not open")
	s.opened = false
	for _, w := range s.watches {
		w.f.dropFlight(w)
	}
	s.watches, s.stale = nil, nil
	return nil
}

// isOpen is for a machine that may have none.
func (s *Epoll) isOpen() bool { return s != nil && s.opened }

// DrainEventfd makes an eventfd unreadable.
func (s *Epoll) DrainEventfd(fd int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lookup(fd, "read").event.count = 0
}

// StayNonblocking does nothing: nobody shares a mode here.
func (*Epoll) StayNonblocking(int) {}

// begin begins a call on fd: what that is, or why there will be none.
func (s *Epoll) begin(fd int, what string) (*file, Errno) {
	f := s.need(fd, what)
	switch {
	case f == nil:
		return nil, syscall.EBADF
	case s.net.chance(s.faults.Interrupt):
		return nil, syscall.EINTR
	}
	s.busy = true
	return f, 0
}

// lent panics where a call is given memory that is nobody's to give.
func (s *Epoll) lent(f *file, b []byte, what string) {
	if len(b) == 0 || s.maps.find(uint64(address(b)), uint64(len(b))) != nil {
		return
	}
	if s.audit != nil && !s.audit.owns(uint64(address(b)), uint64(len(b))) {
		f.blame("%s of %d bytes that are of no operation in flight", what, len(b))
	}
}

// refusalsInRow is how often somebody may find no room without having been told, in
// between, that there is some.
const refusalsInRow = 32

// full is a send that finds no room. An engine that does not wait for the event then
// burns the processor, which is not allowed here.
func (s *Epoll) full(f *file) (int, Errno) {
	f.noSpace = true
	if f.refusals++; f.refusals > refusalsInRow {
		f.blame("%d sends on fd %d in a row found no room: nobody waits for some",
			f.refusals, f.fd)
	}
	return 0, syscall.EAGAIN
}

// empty is a receive that finds nothing. That of one who was not told that there is
// something is a call for nothing, in the hope that another's event is its own.
func (s *Epoll) empty(f *file, what string) (int, Errno) {
	w := s.watchOf(f)
	if w == nil || !w.told {
		f.blame("%s on fd %d finds nothing, and was not told of anything", what, f.fd)
	}
	w.told = false
	return 0, syscall.EAGAIN
}
