package kernelchaos

import (
	"fmt"
	"math/rand/v2"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/exacttest"
	"github.com/sluice-net/sluice/transport"
)

// An actor is the loop's end of a link: it does what comes to its mind in every
// callback and in functions that it schedules, and checks what it is told. All of it
// belongs to the loop's goroutine.
//
//	made -> [input]* -> [eof]? -> lost
//	pause and resume alternate between made and lost
type actor struct {
	*link
	t   transport.Transport
	rng *rand.Rand
	now any // the protocol that is to be called: a *plain or a *lending

	written, received uint64
	limit             uint64 // of what it writes
	notes             []byte // what it did, a letter each

	wasMade, eof, keptOpen, lost bool
	paused                       bool // its writing, by PauseWriting
	readPaused                   bool // its reading, by itself
	scheduled                    bool

	closed      bool // Close was called
	closedEarly bool // before the end of file
	aborted     bool // Abort was called
	abortedOpen bool // on a transport that was not closing
	dropped     bool // with something that was not sent yet
	eofWritten  bool
	hasFailed   bool

	inOwned         bool
	owned, released int // slices given to WriteOwned, and those that came back
	files, filesEnd int
	cutFiles        bool   // a file ended before it was sent
	memory          []byte // registered
	err             error
}

// newActor makes the actor of a link.
func newActor(l *link) *actor {
	a := &actor{link: l, rng: l.rand(0)}
	a.limit = pick[uint64](a.rng, 0, 100, 10_000, 300_000)
	if l.peer.plan.parks {
		a.limit = pick[uint64](a.rng, 0, 10_000, 4<<20)
	}
	l.actor = a
	return a
}

// wrong fails the world.
func (a *actor) wrong(format string, args ...any) {
	a.failf("%s: %s", a.describe(), fmt.Sprintf(format, args...))
	a.hasFailed = true
}

func (a *actor) note(what byte) {
	if len(a.notes) < 200 {
		a.notes = append(a.notes, what)
	}
}

// made takes ConnectionMade.
func (a *actor) made(t transport.Transport) {
	if a.wasMade {
		a.wrong("ConnectionMade twice")
	}
	a.wasMade, a.t = true, t
	a.actors[a] = true
	a.narrow()
	for range a.rng.IntN(3) {
		a.act()
	}
	if a.silent {
		a.windUp()
	}
	a.soon()
}

// narrow makes the socket's buffers small, or leaves them as they are. A window that is
// smaller than a segment of the loopback would only make the peer wait for timers.
func (a *actor) narrow() {
	size := pick(a.rng, 0, 0, 1, 16<<10, 64<<10)
	raw, ok := transport.Socket(a.t)
	if !ok || size == 0 || a.kind.pipe() {
		return
	}
	err := raw.Control(func(fd uintptr) {
		syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, size)
		syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, max(size, 32<<10))
	})
	if err != nil {
		a.wrong("Control: %v", err)
	}
}

// input takes received bytes.
func (a *actor) input(data []byte) {
	switch {
	case !a.wasMade || a.lost || a.eof:
		a.wrong("data before ConnectionMade, or after EOFReceived or ConnectionLost")
	case len(data) == 0:
		a.wrong("DataReceived of nothing")
	case a.readPaused:
		a.wrong("data while reading is paused")
	case a.closed || a.aborted:
		a.wrong("data after Close")
	}
	if err := exacttest.Check(data, a.fromPeer(), a.received); err != nil && !a.hasFailed {
		a.wrong("received: %v", err)
	}
	a.received += uint64(len(data))
	if a.rng.IntN(4) == 0 {
		a.act()
	}
	a.soon()
}

// ended takes EOFReceived.
func (a *actor) ended() (keepOpen bool) {
	a.note('e')
	if a.eof || a.lost || !a.wasMade || a.closed || a.aborted || a.readPaused {
		a.wrong("EOFReceived twice, after the end, or while reading is paused")
	}
	a.eof = true
	if a.peer.plan.parks || a.rng.IntN(2) == 0 {
		a.keptOpen = !a.silent || a.peer.plan.parks
	}
	if a.rng.IntN(4) == 0 {
		a.act()
	}
	a.soon()
	return a.keptOpen
}

// pause takes PauseWriting, which may be called inside this actor's own call.
func (a *actor) pause() {
	if a.paused || a.lost {
		a.wrong("PauseWriting twice or after ConnectionLost")
	}
	if size, high := a.t.WriteBufferSize(), a.t.WriteBufferLimits().High; size <= high {
		a.wrong("PauseWriting at %d of %d", size, high)
	}
	a.paused = true
	if a.rng.IntN(10) == 0 {
		a.act()
	}
}

// resume takes ResumeWriting.
func (a *actor) resume() {
	if !a.paused || a.lost {
		a.wrong("ResumeWriting without PauseWriting or after ConnectionLost")
	}
	if size, low := a.t.WriteBufferSize(), a.t.WriteBufferLimits().Low; size > low {
		a.wrong("ResumeWriting at %d of %d", size, low)
	}
	a.paused = false
	if a.rng.IntN(2) == 0 {
		a.act()
	}
	a.soon()
}

// gone takes ConnectionLost.
func (a *actor) gone(err error) {
	a.note('X')
	if a.lost || !a.wasMade {
		a.wrong("ConnectionLost twice or before ConnectionMade")
		return
	}
	if a.released != a.owned || a.filesEnd != a.files {
		a.wrong("ConnectionLost with %d of %d slices released, %d of %d files ended",
			a.released, a.owned, a.filesEnd, a.files)
	}
	if n := a.t.WriteBufferSize(); n != 0 || !a.t.IsClosing() {
		a.wrong("ConnectionLost with %d bytes buffered, closing: %v", n, a.t.IsClosing())
	}
	a.lost, a.err = true, err
	if a.memory != nil {
		exacttest.Spoil(a.memory) // nobody writes there any more
		a.loop.FreeBuffer(a.memory)
		a.memory = nil
	}
	delete(a.actors, a)
	a.over()
}

// windUp has the actor begin nothing more, and end what the peer is to end as well.
// Parked peers keep what they have.
func (a *actor) windUp() {
	if a.lost || a.t == nil {
		return
	}
	if a.peer.plan.parks {
		if a.readPaused && a.rng.IntN(4) > 0 {
			a.resumeReading()
		}
		if a.rng.IntN(4) == 0 {
			a.close()
		}
		return
	}
	a.resumeReading()
	switch {
	case a.eof:
		a.close()
	case a.kind != pipeRead:
		a.writeEOF()
	}
}

// finish ends what is left when the parked peers are woken.
func (a *actor) finish() {
	a.resumeReading()
	a.close()
}

// describe says all that is known of a link. It is for the loop's goroutine, or for
// when both ends are over.
func (l *link) describe() string {
	out := fmt.Sprintf("%v %d, peer %s", l.kind, l.id, l.peer)
	a := l.actor
	if a == nil || !a.wasMade {
		return out + ", not made"
	}
	return out + fmt.Sprintf(", loop wrote %d of %d, received %d, did %s, lost %v (%v)",
		a.written, a.limit, a.received, a.notes, a.lost, a.err)
}
