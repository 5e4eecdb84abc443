package loop

import (
	"iter"

	"github.com/sluice-net/sluice/loop/internal/child"
	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/registry"
	"github.com/sluice-net/sluice/loop/internal/tlsio"
)

// What a loop has open, as the list of it sees each kind. All but endpoints of
// datagrams, which are in it as they are.
var (
	_ registry.Transport = openStream{}
	_ registry.Resource  = openServer{}
	_ registry.Resource  = openChild{}
	_ registry.Resource  = (*dial)(nil)
	_ registry.Resource  = (*execution)(nil)
)

// openStream is a stream with what lies over it.
type openStream struct{ *fdio.Stream }

// Close implements registry.Resource: it is the transport of the application's protocol
// that is closed.
func (s openStream) Close() error { return topOf(s.Stream).Close() }

// Abandon implements registry.Resource. A handshake under way has a coroutine that
// nobody would resume.
func (s openStream) Abandon() {
	if over, ok := topOf(s.Stream).(*tlsio.Transport); ok {
		over.Forget()
	}
	s.Stream.Abandon()
}

// streams goes through the streams of the loop; they may be closed meanwhile.
func (l *Loop) streams() iter.Seq[*fdio.Stream] {
	return func(yield func(*fdio.Stream) bool) {
		for t := range l.open.Transports() {
			if s, ok := t.(openStream); ok && !yield(s.Stream) {
				return
			}
		}
	}
}

// addStream adds a stream to what is open.
func (l *Loop) addStream(s *fdio.Stream) { l.open.AddTransport(openStream{s}) }

// removeTransport takes out the transport of a descriptor, of which nothing is left.
func (l *Loop) removeTransport(fd int) {
	l.open.RemoveTransport(fd)
	delete(l.origins, fd)
	l.checkDrained()
}

// remove takes out what is not a transport over one descriptor.
func (l *Loop) remove(r registry.Resource) {
	l.open.Remove(r)
	l.checkDrained()
}

// openServer is the listeners of a server. Its connections are in the list themselves.
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

// openChild is a child. The watch for its exit and its pipes are in the list themselves.
type openChild struct{ *child.Child }

// Close implements registry.Resource: a child that is being started is given up.
func (c openChild) Close() error {
	c.Cancel(ErrLoopClosed)
	return c.Child.Close()
}

// Descriptors implements registry.Resource.
func (openChild) Descriptors(fds []int) []int { return fds }

// Abandon implements registry.Resource.
func (openChild) Abandon() {}

// Gone implements registry.Resource. A child is taken out when it is gone.
func (openChild) Gone() bool { return false }
