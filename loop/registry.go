package loop

import (
	"iter"

	"github.com/sluice-net/sluice/loop/internal/fdio"
)

// registry is the open streams by descriptor. Going through it in the order of
// descriptors makes what is done to all of them deterministic.
type registry struct {
	byFD  []*fdio.Stream
	count int
}

func (r *registry) add(fd int, s *fdio.Stream) {
	for len(r.byFD) <= fd {
		r.byFD = append(r.byFD, nil)
	}
	r.byFD[fd] = s
	r.count++
}

func (r *registry) remove(fd int) {
	r.byFD[fd] = nil
	r.count--
}

// at returns the stream that owns fd, or nil.
func (r *registry) at(fd int) *fdio.Stream {
	if fd < 0 || fd >= len(r.byFD) {
		return nil
	}
	return r.byFD[fd]
}

// all goes through the streams; they may be closed meanwhile.
func (r *registry) all() iter.Seq[*fdio.Stream] {
	return func(yield func(*fdio.Stream) bool) {
		for i := 0; i < len(r.byFD); i++ {
			if s := r.byFD[i]; s != nil && !yield(s) {
				return
			}
		}
	}
}

func (r *registry) descriptors() []int {
	var fds []int
	for fd, s := range r.byFD {
		if s != nil {
			fds = append(fds, fd)
		}
	}
	return fds
}
