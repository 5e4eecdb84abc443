package simio

import (
	"slices"
	"syscall"
	"time"
)

// watch is a descriptor that an epoll instance watches.
//
//	idle --something is there--> ready --told--> ready --not there any more--> idle
//	idle --something is there, by a fault--> late --after a while--> ready
type watch struct {
	s          *Epoll
	f          *file
	fd         int
	mask       uint32
	generation int32

	ready bool          // something was there when it was looked at last
	held  time.Duration // it is not told before
	told  bool          // that there is something to receive, and not found empty yet
}

// The calls of epoll_ctl(2) that begin and end a watch.
const (
	ctlAdd = 1
	ctlDel = 2
)

// maskKnown are the events that may be asked for: level-triggered, of those that the
// simulation has.
const maskKnown = pollIn | pollOut | pollErr | pollHup | pollRdHup

// always are the events that epoll tells of in any case.
const always = pollErr | pollHup

// Control is epoll_ctl(2). An engine knows what it has watched: that it asks for what is
// so already is a violation, where Linux says EEXIST or ENOENT.
func (s *Epoll) Control(call, fd int, mask uint32, generation int32) Errno {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.check(s.opened, "epoll_ctl of an epoll instance that is not open")
	f := s.lookup(fd, "epoll_ctl")
	if f == nil {
		return syscall.EBADF
	}
	w := s.watchOf(f)
	switch {
	case f.kind == regularFile:
		return syscall.EPERM
	case (call == ctlAdd) != (w == nil):
		f.blame("epoll_ctl %d of fd %d, watched: %v", call, fd, w != nil)
	case call == ctlDel:
		s.remove(w)
		return 0
	case mask&^maskKnown != 0:
		f.blame("epoll_ctl of fd %d: mask %#x", fd, mask)
	}
	if w == nil {
		if f.event == nil && s.net.chance(s.faults.NoWatch) {
			return [2]Errno{syscall.ENOMEM, syscall.ENOSPC}[s.net.below(2)]
		}
		w = &watch{s: s, f: f, fd: fd}
		s.watches = append(s.watches, w)
		f.flights = append(f.flights, w)
	}
	w.mask, w.generation = mask, generation
	w.progress()
	return 0
}

// remove ends a watch. By a fault it tells once more when its number is another's.
func (s *Epoll) remove(w *watch) {
	w.f.dropFlight(w)
	i := slices.Index(s.watches, w)
	s.watches = slices.Delete(s.watches, i, i+1)
	if w.f.event == nil && s.net.chance(s.faults.Stale) {
		s.stale = append(s.stale, w)
	}
}

// watchOf returns what watches f, nil if nothing does.
func (s *Epoll) watchOf(f *file) *watch {
	for _, op := range f.flights {
		if w, ok := op.(*watch); ok && w.s == s {
			return w
		}
	}
	return nil
}

// bits are the events that are to be told.
func (w *watch) bits() uint32 {
	events := w.f.events()
	if w.f.stage == fresh && w.f.err != 0 {
		events |= pollIn | pollErr | pollRdHup // a connect that has failed
	}
	return uint32(events) & (w.mask | always)
}

// progress implements operation.
func (w *watch) progress() {
	before, world := w.ready, w.s.World
	w.ready = w.bits() != 0
	if !w.ready {
		return
	}
	if !before && w.f.event == nil && world.net.chance(world.faults.Delay) {
		w.held = world.now + world.delay()
		world.at(w.held, func() {})
	}
	world.rouse()
}

// title, status, takesFrom, putsInto, connects and outlives implement operation. A
// descriptor is not to be closed while it is watched: were there another one of its
// file, the kernel would go on to tell of it.
func (w *watch) title() string { return "watch of epoll" }

func (w *watch) status() string {
	switch {
	case !w.ready:
		return "idle"
	case w.held > w.s.now:
		return "late"
	}
	return "ready"
}

func (w *watch) takesFrom(*file) bool { return false }
func (w *watch) putsInto(*file) bool  { return false }
func (w *watch) connects() bool       { return false }
func (w *watch) outlives() bool       { return false }
