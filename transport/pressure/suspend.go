package pressure

import "github.com/cilium/ebpf/link"

// Suspend detaches all programs and stops the snapshots that are taken by
// themselves, so that the process runs as if nobody traced it. The programs stay
// loaded: Resume is quick. What happens meanwhile is in no count and no event, but
// Snapshot may be called. It does nothing to a Tracer that is suspended or closed.
func (t *Tracer) Suspend() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.suspended || t.closed {
		return nil
	}
	t.suspended = true
	if t.kernel == nil {
		return nil
	}
	return t.kernel.suspend()
}

// Resume undoes Suspend. A probe that can not be attached any more is refused then,
// as Support says. Error: ErrClosed.
func (t *Tracer) Resume() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed:
		return ErrClosed
	case t.suspended && t.kernel != nil:
		t.kernel.resume(t.options)
	}
	t.suspended = false
	return nil
}

func (t *Tracer) isSuspended() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.suspended
}

// suspend detaches the programs on tracepoints and functions.
func (k *kernel) suspend() error {
	var links []link.Link
	for i := range k.table {
		state := &k.table[i]
		if l := k.links[state.Name]; l != nil {
			links = append(links, l)
			delete(k.links, state.Name)
			state.Status = ProbeAvailable
		}
	}
	return detach(links)
}

// resume attaches what suspend detached.
func (k *kernel) resume(o Options) {
	for i := range k.table {
		if state := &k.table[i]; state.Status == ProbeAvailable {
			k.attachProbe(state, o)
		}
	}
}
