package simio

import (
	"slices"
	"syscall"
	"time"

	"github.com/sluice-net/sluice/loop/internal/sys"
)

// PollNow fills in the events that there are.
func (s *Epoll) PollNow(events []sys.EpollEvent) (int, Errno) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runNext()
	return s.collect(events, s.rumour()), 0
}

// Sleep is PollNow in virtual time: where there is nothing, it is at once later. It is
// interrupted where a test's function is due. With no timeout and nothing that will ever
// happen it calls Options.Idle and blocks, in real time; such a wait draws no fault.
func (s *Epoll) Sleep(events []sys.EpollEvent, timeout time.Duration) (int, Errno) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.check(s.opened, "epoll_pwait of an epoll instance that is not open")
	deadline := forever
	if timeout >= 0 && timeout < forever-s.now {
		deadline = s.now + timeout
	}
	if len(s.events()) > 0 && s.turns.chance(s.faults.Spurious) {
		return 0, syscall.EINTR
	}
	rumour := s.rumour()
	for {
		s.runNext()
		if n := s.collect(events, rumour); n > 0 {
			return n, 0
		}
		due := s.events()
		switch {
		case len(due) > 0 && due[0].script && due[0].at <= s.now:
			return 0, syscall.EINTR
		case len(due) > 0 && due[0].at <= deadline:
			s.now = max(s.now, due[0].at)
		case deadline != forever:
			s.now = max(s.now, deadline)
			return 0, 0
		default:
			s.block(s.stirred)
		}
	}
}

// events is what will happen in the world: Machine.events are its eventfds.
func (s *Epoll) events() eventHeap { return s.World.events }

func (s *Epoll) stirred() bool {
	return slices.ContainsFunc(s.watches, func(w *watch) bool { return w.bits() != 0 })
}

// rumour returns a descriptor of which, by a fault, readiness is told that is none: as of
// a datagram whose checksum is wrong, or memory that is gone again. nil: none.
func (s *Epoll) rumour() *watch {
	if len(s.events()) == 0 || !s.turns.chance(s.faults.FalseReady) {
		return nil
	}
	var idle []*watch
	for _, w := range s.watches {
		if w.bits() == 0 && w.mask&(pollIn|pollOut) != 0 && w.f.event == nil &&
			w.f.kind != child && (w.f.stage == connected || w.f.stage == listening) {
			idle = append(idle, w)
		}
	}
	if len(idle) == 0 {
		return nil
	}
	return idle[s.turns.below(len(idle))]
}

// collect fills in what is to be told now.
func (s *Epoll) collect(events []sys.EpollEvent, rumour *watch) int {
	batch := events[:0]
	var ready []*watch
	for _, w := range s.watches {
		switch w.ready = w.bits() != 0; {
		case w == rumour:
			ready = append(ready, w)
		case !w.ready || w.held > s.now:
		case w.f.event != nil:
			// Whether there is a wake-up is no matter of virtual time: it draws nothing.
			batch = append(batch, w.event(w.bits()))
		default:
			ready = append(ready, w)
		}
	}
	ready = s.choose(ready, cap(batch)-len(batch)-len(s.stale))
	for _, w := range ready {
		bits := w.bits()
		if bits == 0 {
			bits = w.mask & (pollIn | pollOut)
		}
		batch = append(batch, w.tell(bits))
		i := slices.Index(s.watches, w)
		s.watches = append(slices.Delete(s.watches, i, i+1), w)
	}
	return len(s.haunt(batch))
}

// choose puts what is ready into some order, and leaves some of it for the next time.
func (s *Epoll) choose(ready []*watch, room int) []*watch {
	n := len(ready)
	if n > 1 && s.turns.chance(s.faults.Reorder) {
		for i := range n {
			j := i + s.turns.below(n-i)
			ready[i], ready[j] = ready[j], ready[i]
		}
	}
	if n > 1 && s.turns.chance(s.faults.SmallBatch) {
		n = s.turns.atMost(n)
	}
	if n > 0 {
		s.busy = true
	}
	return ready[:min(n, room)]
}

// haunt adds events of descriptors that were closed, whose numbers are others' by now.
// Linux tells such ones within one batch alone, where they were fetched before.
func (s *Epoll) haunt(batch []sys.EpollEvent) []sys.EpollEvent {
	kept := s.stale[:0]
	for _, w := range s.stale {
		f := s.World.open(w.fd)
		switch {
		case f == w.f, f == nil, s.watchOf(f) == nil:
			if len(kept) < 8 {
				kept = append(kept, w)
			}
		case s.watchOf(f).generation == w.generation:
			f.blame("the generation of fd %d did not change", w.fd)
		default:
			s.busy = true
			batch = append(batch, w.event(w.mask|always))
		}
	}
	s.stale = kept
	return batch
}

// tell is event, for the history.
func (w *watch) tell(bits uint32) sys.EpollEvent {
	if bits&^pollOut != 0 {
		w.told = true
	}
	if bits&^pollIn != 0 {
		w.f.refusals = 0
	}
	w.f.record("event", int64(bits))
	return w.event(bits)
}

func (w *watch) event(bits uint32) sys.EpollEvent {
	return sys.EpollEvent{Events: bits, Fd: int32(w.fd), Pad: w.generation}
}
