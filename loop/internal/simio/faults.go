package simio

import (
	"syscall"
	"time"
)

// Errno is the type of the errors that operations complete with.
type Errno = syscall.Errno

// Faults are probabilities, from 0 (never, the zero value) to 1, each drawn
// whenever the occasion arises. None of them breaks a promise that a kernel
// gives: bytes of a stream arrive in order, once, or the connection ends.
type Faults struct {
	PartialRead  float64 // a receive takes less than there is
	PartialWrite float64 // a send, also TrySend, takes less than there is room for
	Reset        float64 // a receive or send finds the connection broken
	NoMemory     float64 // an operation fails with ENOMEM at once
	NoSocket     float64 // Socket fails with EMFILE
	BindBusy     float64 // Bind fails with EADDRINUSE
	Accept       float64 // Accept ends with EMFILE, ENFILE or ENOMEM
	Refuse       float64 // Connect fails with ECONNREFUSED
	Timeout      float64 // Connect fails with ETIMEDOUT after a while
	Delay        float64 // an operation begins late, by up to DelayMax
	Reorder      float64 // completions of one Wait swap between descriptors
	NoBuffers    float64 // RecvAny and RecvMsg find no buffer at first
	Overflow     float64 // some completions are not there before the next Wait
	Spurious     float64 // Wait returns with nothing at all
	LateCancel   float64 // a cancellation takes its time, the operation may win
	SlowPeer     float64 // a connection has a tiny window and a long way
	Drop         float64 // a datagram is lost
	Duplicate    float64 // a datagram arrives twice
	Overtake     float64 // a datagram arrives after later ones
	Cold         float64 // a part of a file has to be read from its disk first
	NoGroups     float64 // a group of datagrams is refused: EINVAL, seldom EIO

	// Of a ring alone.

	TakePart   float64 // an enter takes only part of the queue
	Busy       float64 // an enter takes nothing: EBUSY, EAGAIN or EINTR
	SmallBatch float64 // an enter completes fewer of what waits
	Again      float64 // EAGAIN where Linux may: no memory, or waited for in vain

	// Of epoll alone. SmallBatch, Again and Delay, of its events, are too.

	FalseReady float64 // readiness is told that is none
	Interrupt  float64 // EINTR
	NoWatch    float64 // a descriptor cannot be watched: ENOMEM or ENOSPC
	Stale      float64 // an event of a closed descriptor whose number is another's

	DelayMax time.Duration // 0: 20 ms
}

// RandomFaults returns a random subset of the faults with random rates, which
// finds more than all of them at once: some faults hide what others show.
func RandomFaults(seed uint64) Faults {
	s := source{seed ^ 0x5eed_fa17}
	f := Faults{DelayMax: time.Duration(1+s.below(50)) * time.Millisecond}
	for _, rate := range []*float64{
		&f.PartialRead, &f.PartialWrite, &f.Delay, &f.Reorder, &f.NoBuffers, &f.Overflow,
		&f.Spurious, &f.LateCancel, &f.SlowPeer, &f.Drop, &f.Duplicate, &f.Overtake,
	} {
		*rate = s.rate(0.5)
	}
	// What ends a connection is kept rare, or nothing else would ever be tried.
	for _, rate := range []*float64{
		&f.Reset, &f.NoMemory, &f.NoSocket, &f.BindBusy, &f.Accept, &f.Refuse, &f.Timeout,
	} {
		*rate = s.rate(0.05)
	}
	f.Cold = s.rate(0.5)
	f.NoGroups = s.rate(0.5)
	for _, rate := range []*float64{&f.TakePart, &f.Busy, &f.SmallBatch, &f.Again} {
		*rate = s.rate(0.5)
	}
	for _, rate := range []*float64{&f.FalseReady, &f.Interrupt, &f.Stale} {
		*rate = s.rate(0.5)
	}
	f.NoWatch = s.rate(0.05)
	return f
}

// rate returns 0 half of the time, else a number up to limit, mostly small.
func (s *source) rate(limit float64) float64 {
	if s.chance(0.5) {
		return 0
	}
	u := s.unit()
	return u * u * limit
}

// delay returns a random delay of a fault.
func (w *World) delay() time.Duration {
	limit := w.faults.DelayMax
	if limit == 0 {
		limit = 20 * time.Millisecond
	}
	return 1 + w.net.duration(limit)
}

// part returns n, or, when the fault of that rate strikes, less, at least 1.
func (w *World) part(n int, rate float64) int {
	if n > 1 && w.net.chance(rate) {
		return w.net.between(1, n)
	}
	return n
}
