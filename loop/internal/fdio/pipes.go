package fdio

import (
	"github.com/sluice-net/sluice/loop/internal/debug"
	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// pipeSize is how many bytes a pipe holds. With half of it, a relay of large messages takes
// a third more CPU (decision 0027).
const pipeSize = 512 << 10

// PipePool keeps the pipes of one loop through which bytes are relayed. A relay has one
// only while bytes are in it, so a few pipes serve many relays. The last one put back is
// the first handed out. When the last user leaves, the pipes are closed.
//
//	open --Put--> free --Get--> in use --Put--> free
//	                            in use --Discard--> closed
//	free --the last user leaves--> closed
type PipePool struct {
	Engine proactor.Proactor // set before the first use
	Max    int               // pipes, at most

	free  []proactor.SplicePipe
	used  []proactor.SplicePipe
	users int
}

// Join counts a user.
func (p *PipePool) Join() { p.users++ }

// Leave is called by a user that has no pipe any more and needs none.
func (p *PipePool) Leave() {
	p.users--
	debug.Assert(p.users >= 0, "as many users leave as have joined")
	if p.users > 0 {
		return
	}
	for _, pipe := range p.free {
		p.close(pipe)
	}
	p.free, p.used = nil, nil
}

// Get returns an empty pipe. It reports false if there are enough pipes in use, or if
// this process may not open any more.
func (p *PipePool) Get() (proactor.SplicePipe, bool) {
	if last := len(p.free) - 1; last >= 0 {
		pipe := p.free[last]
		p.free = p.free[:last]
		p.used = append(p.used, pipe)
		return pipe, true
	}
	if len(p.used) >= p.Max {
		return proactor.SplicePipe{}, false
	}
	pipe, err := p.Engine.OpenSplicePipe(pipeSize)
	if err != nil {
		return proactor.SplicePipe{}, false
	}
	p.used = append(p.used, pipe)
	return pipe, true
}

// Put takes back what Get returned. It must be empty.
func (p *PipePool) Put(pipe proactor.SplicePipe) {
	p.forget(pipe)
	p.free = append(p.free, pipe)
}

// Discard closes what Get returned, with what is in it.
func (p *PipePool) Discard(pipe proactor.SplicePipe) {
	p.forget(pipe)
	p.close(pipe)
}

// forget removes a pipe from those in use. The one that was handed out last is mostly the
// one that comes back.
func (p *PipePool) forget(pipe proactor.SplicePipe) {
	last := len(p.used) - 1
	for i := last; i >= 0; i-- {
		if p.used[i] == pipe {
			p.used[i] = p.used[last]
			p.used = p.used[:last]
			return
		}
	}
	debug.Assert(false, "a pipe that was handed out comes back")
}

func (p *PipePool) close(pipe proactor.SplicePipe) {
	// Closing a pipe does not fail; there would be no one to tell.
	_ = p.Engine.CloseFD(pipe.R)
	_ = p.Engine.CloseFD(pipe.W)
}

// Close closes all pipes, even those in use: the loop has ended.
func (p *PipePool) Close() {
	for _, pipes := range [2][]proactor.SplicePipe{p.free, p.used} {
		for _, pipe := range pipes {
			p.close(pipe)
		}
	}
	p.free, p.used = nil, nil
}

// Open returns how many pipes there are.
func (p *PipePool) Open() int { return len(p.free) + len(p.used) }
