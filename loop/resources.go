package loop

import (
	"iter"

	"github.com/sluice-net/sluice/loop/internal/child"
	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/registry"
	"github.com/sluice-net/sluice/loop/internal/tlsio"
)

// The kinds of resources that a loop may have open, as its list holds them. Datagram
// endpoints and message connections are in the list as they are.
var (
	_ registry.Transport = openStream{}
	_ registry.Transport = (*fdio.SeqPacket)(nil)
	_ registry.Resource  = openServer{}
	_ registry.Resource  = openChild{}
	_ registry.Resource  = (*execution)(nil)
)

// openStream is a stream with the TLS transports on top of it.
type openStream struct{ *fdio.Stream }

// Close implements registry.Resource: it closes the transport that the application's
// protocol has.
func (s openStream) Close() error { return topOf(s.Stream).Close() }

// Abandon implements registry.Resource.
func (s openStream) Abandon() {
	if over, ok := topOf(s.Stream).(*tlsio.Transport); ok {
		over.Abandon()
	}
	s.Stream.Abandon()
}

// streams iterates over the streams of the loop, which may be closed meanwhile.
func (l *Loop) streams() iter.Seq[*fdio.Stream] {
	return func(yield func(*fdio.Stream) bool) {
		for t := range l.open.Transports() {
			if s, ok := t.(openStream); ok && !yield(s.Stream) {
				return
			}
		}
	}
}

// connections iterates over the connections of the loop, of bytes and of messages, which
// may be closed meanwhile.
func (l *Loop) connections() iter.Seq[fdio.Connection] {
	return func(yield func(fdio.Connection) bool) {
		for t := range l.open.Transports() {
			c, ok := t.(fdio.Connection)
			if s, stream := t.(openStream); stream {
				c = s.Stream
			}
			if ok && !yield(c) {
				return
			}
		}
	}
}

// addStream adds a stream to what is open.
func (l *Loop) addStream(s *fdio.Stream) { l.open.AddTransport(openStream{s}) }

// removeTransport removes the transport of a descriptor from the list, once nothing is
// left of it.
func (l *Loop) removeTransport(fd int) {
	l.open.RemoveTransport(fd)
	delete(l.origins, fd)
	l.checkDrained()
}

// remove removes a resource that is not a transport on one descriptor.
func (l *Loop) remove(r registry.Resource) {
	l.open.Remove(r)
	l.checkDrained()
}

// openServer stands for the listeners of a server. Its connections are in the list
// themselves.
type openServer struct{ *Server }

// Close implements registry.Resource.
func (s openServer) Close() error {
	s.close()
	return nil
}

// Fail implements registry.Resource. Listeners need no time to close.
func (openServer) Fail(error) {}

// Descriptors implements registry.Resource.
func (s openServer) Descriptors(fds []int) []int {
	for _, a := range s.acceptors {
		fds = append(fds, a.FD())
		if a.Spare() >= 0 {
			fds = append(fds, a.Spare())
		}
	}
	return fds
}

// Abandon implements registry.Resource.
func (openServer) Abandon() {}

// Gone implements registry.Resource.
func (s openServer) Gone() bool { return s.closed && len(s.acceptors) == 0 && s.conns == 0 }

// openChild is a child process. The watch for its exit and its pipes are in the list
// themselves.
type openChild struct{ *child.Child }

// Close implements registry.Resource: it gives up a child that is still being started.
func (c openChild) Close() error {
	c.Cancel(ErrLoopClosed)
	return c.Child.Close()
}

// Descriptors implements registry.Resource.
func (openChild) Descriptors(fds []int) []int { return fds }

// Abandon implements registry.Resource.
func (openChild) Abandon() {}

// Gone implements registry.Resource. A child is removed when it is gone.
func (openChild) Gone() bool { return false }
