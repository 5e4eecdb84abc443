package procs

import "time"

// followEvery is how often the runtime is asked for its default while this package has
// set another number, which ends the runtime's own updates. Asking stops the world twice.
// The runtime itself looks once a second at most, and less often when it is idle.
const followEvery = 30 * time.Second

// mostLoops is for how many loops there are Ps, for each P of the base. The garbage
// collector uses a quarter of all Ps, so beyond that it would use more threads than the
// base allows.
const mostLoops = 4

// A reserve adds Ps for loops to GOMAXPROCS.
//
//	base --as many loops--> base + extra --fewer--> base
//	base + extra --the program sets n--------------> base = n
//	base + extra --30 s, if base is the default----> base = the default of now
type reserve struct {
	scheduler

	loops   int  // that have a goroutine
	own     int  // how many of them asked for a P of their own
	shared  int  // how many of them wake other goroutines all the time
	base    int  // GOMAXPROCS without what is added here, as of the last adjust
	set     int  // what was set here; 0: nothing
	follows bool // base is the runtime's default, which changes with the container
	waiting bool // follow will be called
}

// A scheduler is the part of package runtime that a reserve needs.
type scheduler interface {
	procs() int                  // GOMAXPROCS
	setProcs(int)                // sets it, which ends the runtime's own updates
	restore()                    // sets the runtime's default, and has it updated
	fixed(int) bool              // the environment asks for this number, or for no updates
	after(time.Duration, func()) // calls a function later, not on a loop's goroutine
}

// extra is how many Ps to add to base: one for each loop that asked for its own, and as
// many as it takes for one to be left over when all loops have one.
//
// With a base of 1, loops that share their P do not count. There is only one CPU then, and
// a goroutine that the loop wakes would interrupt it at once, if there were a second P,
// instead of when the loop has dealt with all that has arrived.
func (r *reserve) extra() int {
	loops := r.loops
	if r.base == 1 {
		loops -= r.shared
	}
	return max(r.own, min(loops, mostLoops*r.base)+1-r.base)
}

// changed reports whether somebody else has changed GOMAXPROCS since the last adjust.
func (r *reserve) changed() bool {
	if r.loops == 0 {
		return false
	}
	if r.set != 0 {
		return r.procs() != r.set
	}
	return r.procs() != r.base
}

// adjust sets what extra asks for.
func (r *reserve) adjust() {
	procs := r.procs()
	if procs != r.set { // nobody's, or somebody else's: the base of now
		r.base, r.set = procs, 0
	}
	switch want := r.base + r.extra(); want {
	case procs:
	case r.base:
		r.lower()
	default:
		if r.set == 0 {
			r.follows = r.isDefault(procs)
		}
		r.setProcs(want)
		r.set = want
	}
	if r.set != 0 && r.follows && !r.waiting {
		r.waiting = true
		r.after(followEvery, r.follow)
	}
}

// isDefault reports whether the runtime keeps GOMAXPROCS up to date, to judge by procs,
// its present value. A program that sets by hand what is the default anyway gets the
// updates, too.
func (r *reserve) isDefault(procs int) bool {
	if r.fixed(procs) {
		return false
	}
	r.restore()
	return r.procs() == procs
}

// lower takes back what was added.
func (r *reserve) lower() {
	r.set = 0
	if r.follows {
		r.restore()
		return
	}
	r.setProcs(r.base)
}

// follow asks the runtime for its default.
func (r *reserve) follow() {
	r.waiting = false
	if r.set != 0 && r.follows && r.procs() == r.set {
		r.set = 0
		r.restore()
	}
	r.adjust()
}
