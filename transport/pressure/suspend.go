package pressure

import "github.com/cilium/ebpf/link"

// Suspend detaches all programs and stops the automatic snapshots, so that the
// process runs as if it were not traced. The programs stay loaded, which makes
// Resume quick. Events in the meantime are neither counted nor reported, but
// Snapshot may be called. Suspend does nothing if the Tracer is suspended or
// closed.
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

// Resume undoes Suspend. A probe that can no longer be attached is then refused, as
// Support shows. Error: ErrClosed.
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
