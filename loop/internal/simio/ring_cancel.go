package simio

import "syscall"

// tryCancel is ASYNC_CANCEL and POLL_REMOVE. What it finds ends in an enter that
// completes things, unless a fault has it running just then.
func (t *task) tryCancel() verdict {
	e := &t.sqe
	flags := e.opFlags
	if e.opcode == opCancel && flags&^(cancelAll|cancelFD|cancelAny) != 0 {
		t.violate("flags %#x", flags)
	}
	n, late := 0, false
	for _, other := range append([]*task(nil), t.r.tasks...) {
		if other == t || !other.fits(flags, e.addr, t.fd) ||
			e.opcode == opPollRemove && other.sqe.opcode != opPollAdd {
			continue
		}
		n++
		late = other.cancel() || late
		if flags&(cancelAll|cancelAny) == 0 {
			break
		}
	}
	switch {
	case n == 0:
		t.fail(syscall.ENOENT)
	case late && n == 1:
		t.fail(syscall.EALREADY)
	case flags&(cancelAll|cancelAny) != 0:
		t.end(int32(n), 0, nil)
	default:
		t.end(0, 0, nil)
	}
	return over
}

// fits reports whether a cancel means t.
func (t *task) fits(flags uint32, userData uint64, fd int) bool {
	switch {
	case t.cancelled || !t.began:
		return false
	case flags&cancelAny != 0:
		return true
	case flags&cancelFD != 0:
		return t.fd == fd
	}
	return t.sqe.userData == userData
}

// cancel ends t, or reports that it does so only after a while: t may win then.
func (t *task) cancel() (late bool) {
	w := t.r.w
	if t.sqe.opcode != opPollAdd && w.net.chance(w.faults.LateCancel) {
		w.at(w.now+w.delay(), t.cancelNow)
		return true
	}
	t.cancelNow()
	return false
}

func (t *task) cancelNow() {
	if t.state == taskOver {
		return
	}
	t.cancelled = true
	if !t.queued {
		t.queued = true
		t.append()
	}
}

// cancelNow is IORING_REGISTER_SYNC_CANCEL.
func (r *ring) cancelNow(reg *syncCancel) Errno {
	n := 0
	for _, t := range append([]*task(nil), r.tasks...) {
		if t.fits(reg.flags, reg.addr, int(reg.fd)) {
			n++
			t.cancelNow()
			if reg.flags&(cancelAll|cancelAny) == 0 {
				break
			}
		}
	}
	if n == 0 {
		return syscall.ENOENT
	}
	return 0
}
