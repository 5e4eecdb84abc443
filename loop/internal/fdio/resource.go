package fdio

import "github.com/sluice-net/sluice/loop/internal/registry"

var (
	_ registry.Transport = (*Stream)(nil)
	_ registry.Transport = (*Datagram)(nil)
)

// Descriptors implements registry.Resource. Descriptors that are queued to be sent are
// closed by Abandon.
func (e *endpoint) Descriptors(fds []int) []int { return append(fds, e.recv.FD) }

// Gone implements registry.Resource.
func (e *endpoint) Gone() bool { return e.state == Closed }

// Abandon implements registry.Resource: the transport is closed and has no protocol, so that
// whoever kept it reaches neither its descriptor, whose number may soon be another's, nor its
// slot on the loop's page. What may be in flight keeps its memory reachable.
func (e *endpoint) Abandon() {
	if e.state < Closed {
		e.move(Closed)
	}
	e.guard.Forget()
}

// Abandon implements registry.Resource: in addition, a shared open file becomes blocking
// again, and descriptors queued to be sent are closed.
func (s *Stream) Abandon() {
	s.endpoint.Abandon()
	s.RestoreMode()
	for _, fd := range s.QueuedFDs(nil) {
		s.engine.Discard(fd)
	}
}
