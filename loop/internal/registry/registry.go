// Package registry is the list of what a loop has open, whatever its kind: transports,
// listeners, connections under way, children, functions on other goroutines. What ends
// a loop goes through this one list.
package registry

import (
	"errors"
	"iter"
	"slices"

	"github.com/sluice-net/sluice/transport"
)

// ErrLoopClosed: the loop was closed.
var ErrLoopClosed = errors.New("loop: closed")

// Resource is something that is open. Its methods are for the loop's goroutine.
type Resource interface {
	// Close begins its end in good order: the loop is being shut down. What has no
	// end of its own only goes on.
	Close() error

	// Fail ends it at once, for the reason err.
	Fail(err error)

	// Descriptors appends to fds those that belong to it and that nobody else closes.
	Descriptors(fds []int) []int

	// Abandon gives up what else is left and tells nobody: the loop is freed, its
	// engine is closed, and its descriptors will be.
	Abandon()

	// Gone reports whether nothing is left of it.
	Gone() bool
}

// Transport is a Resource over one descriptor, which finds it.
type Transport interface {
	Resource

	// FD is the descriptor.
	FD() int

	// Perish ends it when the engine has failed: nothing is in flight any more, and
	// its protocol is told err at once.
	Perish(err error)
}

// List is what is open. The zero value is empty. What is done to all of it happens in
// one order: of opening, and for transports of descriptors.
type List struct {
	byFD   []Transport
	others []Resource
	open   int // transports, those of several descriptors too
	single int // of them, those in byFD
}

// Add adds what is not a transport over one descriptor.
func (l *List) Add(r Resource) {
	l.others = append(l.others, r)
	if _, ok := r.(transport.BaseTransport); ok {
		l.open++
	}
}

// Remove takes out what Add added, and does nothing where that was done before.
func (l *List) Remove(r Resource) {
	i := slices.Index(l.others, r)
	if i < 0 {
		return
	}
	l.others = slices.Delete(l.others, i, i+1)
	if _, ok := r.(transport.BaseTransport); ok {
		l.open--
	}
}

// AddTransport adds a transport.
func (l *List) AddTransport(t Transport) {
	fd := t.FD()
	for len(l.byFD) <= fd {
		l.byFD = append(l.byFD, nil)
	}
	l.byFD[fd] = t
	l.open++
	l.single++
}

// RemoveTransport takes out the transport of a descriptor.
func (l *List) RemoveTransport(fd int) {
	l.byFD[fd] = nil
	l.open--
	l.single--
}

// At returns the transport of a descriptor, or nil.
func (l *List) At(fd int) Transport {
	if fd < 0 || fd >= len(l.byFD) {
		return nil
	}
	return l.byFD[fd]
}

// Transports goes through the transports. They may be removed meanwhile.
func (l *List) Transports() iter.Seq[Transport] {
	return func(yield func(Transport) bool) {
		for i := 0; i < len(l.byFD); i++ {
			if t := l.byFD[i]; t != nil && !yield(t) {
				return
			}
		}
	}
}

// All goes through everything that is not gone. It may be removed meanwhile.
func (l *List) All() iter.Seq[Resource] {
	return func(yield func(Resource) bool) {
		for _, r := range slices.Clone(l.others) {
			if !r.Gone() && !yield(r) {
				return
			}
		}
		for t := range l.Transports() {
			if !t.Gone() && !yield(t) {
				return
			}
		}
	}
}

// Descriptors are those of everything.
func (l *List) Descriptors() []int {
	var fds []int
	for r := range l.All() {
		fds = r.Descriptors(fds)
	}
	return fds
}

// Empty reports whether nothing is open.
func (l *List) Empty() bool { return l.single == 0 && len(l.others) == 0 }

// OpenTransports is how many transports there are, children among them.
func (l *List) OpenTransports() int { return l.open }
