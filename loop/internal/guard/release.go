package guard

// Slices of the user's that were sent or dropped are given back by functions of the
// user's, which may do anything: write, close, abort. So they are collected where a
// slice is let go of, and called where that does no harm.

// releasesKept is the longest list of functions that is kept for the next time.
const releasesKept = 16

// RunReleases calls the functions in Releases, also those that are added meanwhile. A
// call from inside one of them does nothing: the rest follows when that has returned.
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
