package fdio

import "github.com/sluice-net/sluice/loop/internal/registry"

var (
	_ registry.Transport = (*Stream)(nil)
	_ registry.Transport = (*Datagram)(nil)
)

// Descriptors implements registry.Resource. Those that are queued to be sent are closed
// by Abandon.
func (s *Stream) Descriptors(fds []int) []int { return append(fds, s.fd) }

// Abandon implements registry.Resource: the page is told, what others share becomes
// blocking again, and what is queued to be sent is closed.
func (s *Stream) Abandon() {
	if s.pub.slot != nil {
		s.pub.unpublish()
	}
	s.RestoreMode()
	for _, fd := range s.QueuedFDs(nil) {
		s.engine.Discard(fd)
	}
}

// Gone implements registry.Resource.
func (s *Stream) Gone() bool { return s.state == Gone }

// Descriptors implements registry.Resource.
func (d *Datagram) Descriptors(fds []int) []int { return append(fds, d.fd) }

// Abandon implements registry.Resource.
func (d *Datagram) Abandon() {
	if d.pub.slot != nil {
		d.pub.unpublish()
	}
}

// Gone implements registry.Resource.
func (d *Datagram) Gone() bool { return d.state == Gone }
