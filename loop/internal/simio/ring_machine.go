package simio

import (
	"syscall"
	"time"
	"unsafe"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/uring"
)

// Machine is a world as a process on Linux sees it: the calls of its kernel, and
// io_uring below uring.System. The engine of package iouring runs on it unchanged.
// What it returns from Drive is used in place of the engine.
//
// The methods of System and of proactor.Kernel are for the loop's goroutine, what
// Eventfd returns and all of World for any.
type Machine struct {
	calls
	sys    system
	rings  []*ring
	events []*eventfd
	maps   mappings
	audit  *auditor // of Drive, else nil
	epoll  *Epoll   // of NewEpoll, else nil

	busy bool // something has happened since the last turn that takes time
}

var (
	_ proactor.Kernel  = (*Machine)(nil)
	_ proactor.Spawner = (*Machine)(nil)
)

// The descriptors of rings and eventfds are apart from the world's own, so that a
// limit of descriptors and the numbers of sockets do not depend on them.
const (
	firstRing    = 500
	firstEventfd = 700
)

// NewMachine returns a machine in a world of its own. Options.Config is not used.
func NewMachine(o Options) *Machine { return NewWorld(o).NewMachine() }

// NewMachine returns one more machine in the world.
func (w *World) NewMachine() *Machine {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := &Machine{calls: calls{World: w, memory: allocator{w: w}}}
	m.sys.m = m
	w.machines = append(w.machines, m)
	return m
}

// System is the three calls of io_uring and the ring's memory.
func (m *Machine) System() uring.System { return &m.sys }

// KernelCalls counts the calls of proactor.Kernel.
func (m *Machine) KernelCalls() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.count
}

// IsFIFO reports whether fd is a pipe.
func (m *Machine) IsFIFO(fd int) bool {
	m.call()
	defer m.mu.Unlock()
	f := m.open(fd)
	return f != nil && f.kind == pipeEnd
}

// Mmap returns zeroed memory that is the machine's, and Munmap takes it back, whole. It
// stays as it was, for tests that look whether it was left alone.
func (m *Machine) Mmap(n int) ([]byte, error) {
	m.call()
	defer m.mu.Unlock()
	return m.maps.add(make([]byte, n)), nil
}

// Munmap takes back what Mmap returned.
func (m *Machine) Munmap(b []byte) error {
	m.call()
	defer m.mu.Unlock()
	m.check(m.maps.remove(b), "Munmap of what Mmap did not return, or twice")
	return nil
}

// eventfd is a counter that is readable when it is not zero.
type eventfd struct {
	f     *file
	count uint64
}

// Eventfd makes a descriptor that can be read after write was called.
func (m *Machine) Eventfd() (fd int, write func(), err error) {
	m.call()
	defer m.mu.Unlock()
	v := &eventfd{f: m.newFile(eventFile, proactor.Other)}
	v.f.stage, v.f.event = connected, v
	v.f.fd = firstEventfd + len(m.events)
	m.events = append(m.events, v)
	return v.f.fd, func() { m.signal(v) }, nil
}

func (m *Machine) signal(v *eventfd) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v.f.stage != gone {
		v.count++
		v.f.touch()
		m.settle()
		m.rouse()
	}
}

// CloseEventfd closes an eventfd; a read of it may be in flight.
func (m *Machine) CloseEventfd(fd int) {
	m.call()
	defer m.mu.Unlock()
	m.events[fd-firstEventfd].f.stage = gone
}

// lookup returns what fd is, as need does, eventfds included.
func (m *Machine) lookup(fd int, what string) *file {
	if i := fd - firstEventfd; i >= 0 && i < len(m.events) {
		return m.events[i].f
	}
	return m.need(fd, what)
}

// leaks describes what a machine has not given back.
func (m *Machine) leaks() []string {
	leaks := m.memory.leaks()
	for range m.rings {
		leaks = append(leaks, "a ring")
	}
	if m.epoll.isOpen() {
		leaks = append(leaks, "an epoll instance")
	}
	for _, v := range m.events {
		if v.f.stage != gone {
			leaks = append(leaks, "an eventfd")
		}
	}
	if n := len(m.maps.all); n > 0 && len(m.rings) == 0 && !m.epoll.isOpen() {
		leaks = append(leaks, "memory of an engine that is closed")
	}
	return leaks
}

// system implements uring.System.
type system struct{ m *Machine }

var _ uring.System = (*system)(nil)

// Setup implements uring.System.
func (s *system) Setup(entries uint32, p *uring.Params) (int, syscall.Errno) {
	m := s.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if entries == 0 || entries > 32768 || p.Flags&^setupKnown != 0 || p.Flags&setupDefer == 0 {
		return -1, syscall.EINVAL
	}
	r := &ring{m: m, w: m.World, flags: p.Flags, disabled: p.Flags&setupDisabled != 0,
		fd: firstRing, byData: map[uint64]*task{}}
	if n := len(m.rings); n > 0 {
		r.fd = m.rings[n-1].fd + 1
	}
	r.sqEntries = powerOf2(entries)
	r.cqEntries = 2 * r.sqEntries
	if p.Flags&setupCQSize != 0 {
		r.cqEntries = powerOf2(p.CQEntries)
	}
	if r.cqEntries < r.sqEntries {
		return -1, syscall.EINVAL
	}
	r.lay(p)
	m.rings = append(m.rings, r)
	return r.fd, 0
}

func powerOf2(n uint32) uint32 {
	p := uint32(1)
	for p < n {
		p *= 2
	}
	return p
}

// Map implements uring.System.
func (s *system) Map(fd int, offset int64, size int) ([]byte, syscall.Errno) {
	m := s.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if fd < 0 {
		return m.maps.add(mapped(size)), 0
	}
	r := m.ring(fd)
	switch {
	case r == nil:
		return nil, syscall.EBADF
	case offset == offsetRings && size <= len(r.shared):
		return r.shared[:size:size], 0
	case offset == offsetSQEs && size <= len(r.entries):
		return r.entries[:size:size], 0
	}
	return nil, syscall.EINVAL
}

// Unmap implements uring.System.
func (s *system) Unmap(b []byte) syscall.Errno {
	m := s.m
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.rings {
		if same(b, r.shared[:min(len(b), len(r.shared))]) ||
			same(b, r.entries[:min(len(b), len(r.entries))]) {
			return 0
		}
	}
	m.check(m.maps.remove(b), "Unmap of what Map did not return, or twice")
	unmap(b)
	return 0
}

// Close implements uring.System.
func (s *system) Close(fd int) syscall.Errno {
	m := s.m
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.ring(fd)
	if r == nil {
		m.violate("close of ring %d, which is not open", fd)
	}
	r.close()
	for i := range m.rings {
		if m.rings[i] == r {
			m.rings = append(m.rings[:i:i], m.rings[i+1:]...)
			break
		}
	}
	m.settle()
	return 0
}

// ring returns the open ring fd, nil if there is none.
func (m *Machine) ring(fd int) *ring {
	for _, r := range m.rings {
		if r.fd == fd {
			return r
		}
	}
	return nil
}

// ringOf is ring for an enter, where fd may be the index of a registered one.
func (m *Machine) ringOf(fd int, flags uint32) *ring {
	if flags&enterRegistered == 0 {
		return m.ring(fd)
	}
	for _, r := range m.rings {
		if r.registered && r.fd-firstRing == fd {
			return r
		}
	}
	return nil
}

// timeoutOf returns when an enter with that argument ends.
func timeoutOf(now time.Duration, arg unsafe.Pointer, flags uint32) (time.Duration, Errno) {
	if flags&enterExtArg == 0 {
		return forever, 0
	}
	a := (*getEventsArg)(arg)
	if a.ts == 0 {
		return forever, 0
	}
	ts := (*timespec)(pointer(a.ts))
	if ts.sec < 0 || ts.nsec < 0 || ts.nsec >= int64(time.Second) {
		return 0, syscall.EINVAL
	}
	if ts.sec > int64((forever-now)/time.Second)-1 {
		return forever - 1, 0
	}
	return now + time.Duration(ts.sec)*time.Second + time.Duration(ts.nsec), 0
}

// forever is later than all that ever happens.
const forever = time.Duration(1<<63 - 1)

// atMost returns a random number from 1 to n, which is at least 1.
func (s *source) atMost(n int) int { return 1 + s.below(n) }
