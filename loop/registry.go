package loop

import "iter"

// owner is an open transport, of any kind, as the loop sees it.
type owner interface {
	FD() int
	Close() error
	Fail(err error)
	Perish(err error)
}

// registry is the open transports by descriptor. Going through it in the order of
// descriptors makes what is done to all of them deterministic.
type registry struct {
	byFD  []owner
	count int
}

func (r *registry) add(fd int, s owner) {
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

// at returns the transport that owns fd, or nil.
func (r *registry) at(fd int) owner {
	if fd < 0 || fd >= len(r.byFD) {
		return nil
	}
	return r.byFD[fd]
}

// all goes through the transports; they may be closed meanwhile.
func (r *registry) all() iter.Seq[owner] {
	return func(yield func(owner) bool) {
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
