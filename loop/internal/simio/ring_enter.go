package simio

import (
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// tasksAtOnce is how many tasks one look at the work takes up, where fewer completions
// are waited for (Linux: IO_LOCAL_TW_DEFAULT_MAX).
const tasksAtOnce = 20

// Enter implements uring.System, in virtual time: a wait is over at once, later. With
// no timeout and nothing that will ever happen it calls Options.Idle and blocks, in
// real time; such a wait draws no fault.
func (s *system) Enter(fd int, submit, wait, flags uint32, arg unsafe.Pointer, _ uintptr) (
	int, syscall.Errno,
) {
	m := s.m
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.ringOf(fd, flags)
	switch {
	case r == nil:
		return 0, syscall.EBADF
	case flags&^enterKnown != 0:
		return 0, syscall.EINVAL
	case r.disabled:
		return 0, syscall.EBADFD
	}
	deadline, errno := timeoutOf(m.now, arg, flags)
	if errno != 0 {
		return 0, errno
	}
	r.lookAtBuffers()
	taken, errno := r.submit(submit)
	if errno != 0 || uint32(taken) != submit {
		return taken, errno // it neither waits nor completes what waited
	}
	if flags&enterGetEvents != 0 {
		if submit > 0 {
			r.goOn(wait)
		}
		errno = r.wait(min(wait, r.cqEntries), deadline)
	}
	if taken > 0 {
		errno = 0 // the count hides it
	}
	return taken, errno
}

// wait goes on with what waited, and waits until n completions are there.
func (r *ring) wait(n uint32, deadline time.Duration) Errno {
	r.goOn(n)
	r.flush()
	if r.ready() >= n {
		return 0
	}
	errno := r.sleep(n, deadline)
	if r.ready() > 0 {
		return 0
	}
	return errno
}

// sleep lets time pass until n completions are there, or the deadline, or an
// interruption: a fault, or a test's function that is due.
func (r *ring) sleep(n uint32, deadline time.Duration) Errno {
	w := r.w
	if len(w.events) > 0 && w.turns.chance(w.faults.Spurious) {
		return syscall.EINTR
	}
	for {
		w.runNext()
		if r.scriptDue() {
			return syscall.EINTR
		}
		if len(r.work) > 0 {
			r.goOn(n)
			r.flush()
		}
		if r.ready() >= n {
			return 0
		}
		switch {
		case len(r.work) > 0: // the next batch
		case len(w.events) > 0 && w.events[0].at <= deadline:
			w.now = max(w.now, w.events[0].at)
		case deadline != forever:
			w.now = max(w.now, deadline)
			return syscall.ETIME
		default:
			w.block(func() bool { return len(r.work) > 0 })
		}
	}
}

// scriptDue reports whether a test's function is to be called now.
func (r *ring) scriptDue() bool {
	w := r.w
	return len(w.events) > 0 && w.events[0].script && w.events[0].at <= w.now
}

// runNext lets everything happen whose time has come, up to a test's function: those
// are called between two turns, as no kernel calls a process back.
func (w *World) runNext() {
	w.settle()
	for len(w.events) > 0 && w.events[0].at <= w.now && !w.events[0].script {
		w.events.pop().do()
		w.settle()
	}
}

// goOn carries on with tasks that can, so many as an enter that waits for n takes up.
func (r *ring) goOn(n uint32) {
	w := r.w
	limit := max(tasksAtOnce, int(n))
	if len(r.work) > 1 && w.turns.chance(w.faults.SmallBatch) {
		limit = w.turns.atMost(min(limit, len(r.work)))
	}
	if len(r.work) > 1 && w.turns.chance(w.faults.Reorder) {
		mingle(&w.turns, r.work, func(t **task) int { return (*t).owner() })
	}
	r.flag(sqTaskrun, false)
	for ; limit > 0 && len(r.work) > 0; limit-- {
		t := r.work[0]
		r.work = r.work[1:]
		t.queued = false
		t.goOn()
		w.settle()
	}
	r.deliver()
	if len(r.work) > 0 {
		r.flag(sqTaskrun, true)
	}
}

// submit takes entries, and returns how many.
func (r *ring) submit(n uint32) (int, Errno) {
	available := atomic.LoadUint32(r.word(atSQTail)) - r.sqHead
	if available > r.sqEntries {
		r.w.violate("the SQ has %d entries of %d", available, r.sqEntries)
	}
	n = min(n, available)
	limit, errno := r.disturb(n)
	if errno != 0 {
		return 0, errno
	}
	taken := 0
	var chain []*task
	for ; taken < limit; taken++ {
		t := r.take()
		if t == nil {
			continue
		}
		chain = append(chain, t)
		if t.sqe.flags&(sqeLink|sqeHardlink) == 0 {
			r.begin(chain)
			chain = nil
		}
	}
	r.begin(chain)
	r.deliver()
	atomic.StoreUint32(r.word(atSQHead), r.sqHead)
	return taken, 0
}

// begin starts a chain of linked tasks, or one that is not linked.
func (r *ring) begin(chain []*task) {
	for i := 1; i < len(chain); i++ {
		chain[i-1].next = chain[i]
	}
	if len(chain) > 0 {
		chain[0].begin()
		r.w.settle()
	}
}

// refusalsMax is how often in a row an enter takes nothing by a fault.
const refusalsMax = 3

// disturb says how many of n entries are taken, or why none.
func (r *ring) disturb(n uint32) (int, Errno) {
	w := r.w
	drawn := r.count(n)
	if drawn == 0 {
		return int(n), 0 // a waker's read alone: whether there is one is not random
	}
	r.m.busy = true
	switch {
	case r.refusals >= refusalsMax:
	case w.turns.chance(w.faults.Busy):
		r.refusals++
		return 0, [...]Errno{syscall.EBUSY, syscall.EAGAIN, syscall.EINTR}[w.turns.below(3)]
	case drawn > 1 && w.turns.chance(w.faults.TakePart):
		r.refusals++
		return r.position(1 + w.turns.below(drawn-1)), 0
	}
	r.refusals = 0
	return int(n), 0
}

// count counts those of the first n entries that are no reads of eventfds.
func (r *ring) count(n uint32) int {
	k := 0
	for i := range n {
		if !r.wakes(i) {
			k++
		}
	}
	return k
}

// position is how many entries have to be taken for k that are no reads of eventfds.
func (r *ring) position(k int) int {
	i := uint32(0)
	for ; k > 0; i++ {
		if !r.wakes(i) {
			k--
		}
	}
	return int(i)
}

// wakes reports whether the i-th entry to take reads an eventfd.
func (r *ring) wakes(i uint32) bool {
	e := r.entry(r.sqHead + i)
	fd := int(e.fd) - firstEventfd
	return e.opcode == opRead && fd >= 0 && fd < len(r.m.events)
}

// entry is what the SQ has at a position.
func (r *ring) entry(at uint32) *sqe {
	at &= r.sqEntries - 1
	if r.array != 0 {
		at = *r.word(int(r.array + 4*at))
	}
	return (*sqe)(unsafe.Pointer(&r.entries[int(at)*sqeSize]))
}

// take takes the next entry and spoils it: it is the kernel's copy that counts.
func (r *ring) take() *task {
	e := r.entry(r.sqHead)
	t := &task{r: r, sqe: *e, fd: int(e.fd)}
	poison(unsafe.Slice((*byte)(unsafe.Pointer(e)), sqeSize))
	r.sqHead++
	t.checkFields()
	if other := r.byData[t.sqe.userData]; other != nil {
		t.violate("%s with that user_data is in flight", other.title())
	}
	r.byData[t.sqe.userData] = t
	r.tasks = append(r.tasks, t)
	t.prepare()
	t.litter()
	return t
}
