package loop

// timerLane is a list of timers in the order of their times, which is also the order in which
// they were made: a timer joins only at the end.
type timerLane struct {
	first, last *TimerHandle
}

// takes reports whether h can join: it is due when the last one is, or later.
func (l *timerLane) takes(h *TimerHandle) bool { return l.last == nil || h.when >= l.last.when }

// endsBefore reports whether the lane is empty or its end is due before that of other.
func (l *timerLane) endsBefore(other *timerLane) bool {
	return other.last != nil && (l.last == nil || l.last.when < other.last.when)
}

// push adds h at the end.
func (l *timerLane) push(h *TimerHandle) {
	h.before = l.last
	if l.last == nil {
		l.first = h
	} else {
		l.last.after = h
	}
	l.last = h
}

// remove removes h, wherever it is in the lane.
func (l *timerLane) remove(h *TimerHandle) {
	if h.before == nil {
		l.first = h.after
	} else {
		h.before.after = h.after
	}
	if h.after == nil {
		l.last = h.before
	} else {
		h.after.before = h.before
	}
	h.before, h.after = nil, nil
}
