package guard

// When a slice of the user's has been sent or dropped, it is given back by calling a
// function of the user's, which may do anything: write, close, abort. So these functions
// are collected where a slice is released, and called where that does no harm.

// releasesKept is the longest list of functions that is kept for the next time.
const releasesKept = 16

// RunReleases calls the functions in Releases, including those that are added meanwhile.
// A call from inside one of them does nothing: the rest are called when that one has
// returned.
func (g *Guard) RunReleases() {
	if g.releasing {
		return
	}
	g.releasing = true
	for i := 0; i < len(g.Releases); i++ {
		f := g.Releases[i]
		g.Releases[i] = nil
		g.release(f)
	}
	g.releasing = false
	g.Releases = g.Releases[:0]
	if cap(g.Releases) > releasesKept {
		g.Releases = nil
	}
}

func (g *Guard) release(f func()) {
	defer g.Leave(g.Enter(release))
	f()
}
