package loop

import (
	"time"

	"github.com/sluice-net/sluice/loop/internal/simio"
	"github.com/sluice-net/sluice/transport"
)

// chaosPeer is a scripted peer: it sends, pauses, ends, closes and resets at
// random times.
type chaosPeer struct {
	c        *chaos
	p        *simio.Peer
	in, out  *chaosFlow
	eof      bool // CloseWrite was called
	closed   bool // Close or Reset was called
	reset    bool
	accepted bool        // by a service: the other end is a client of the loop's
	child    *chaosChild // whose end of a pipe it is, or nil
	pipe     bool        // of one direction: in or out is nil
}

// addPeer scripts a peer whose other end has the address remote.
func (c *chaos) addPeer(p *simio.Peer, remote transport.Addr) *chaosPeer {
	q := &chaosPeer{c: c, p: p}
	local := p.LocalAddr()
	q.out = c.flow(local.String(), remote.String())
	q.in = c.flow(remote.String(), local.String())
	q.out.writer, q.in.reader = q, q
	c.script(q)
	return q
}

// script has a peer do things at random times.
func (c *chaos) script(q *chaosPeer) {
	c.peers = append(c.peers, q)
	at := time.Duration(0)
	for range 1 + c.random.IntN(7) {
		at += c.upTo(60 * time.Millisecond)
		step := c.random.IntN(20)
		size := c.size()
		c.world.After(at, func() { q.step(step, size) })
	}
}

// step does one thing.
func (q *chaosPeer) step(step, size int) {
	if q.c.calm || q.closed || q.child != nil && q.child.program.Exited() && !q.child.left {
		return
	}
	switch {
	case step < 10:
		q.send(size)
	case step < 12:
		q.p.PauseReading()
	case step < 15:
		q.p.ResumeReading()
	case step < 17 && q.out != nil:
		q.eof = true
		q.p.CloseWrite()
	case step == 17:
		q.closed = true
		q.p.Close()
	case step == 18 && !q.pipe:
		q.closed, q.reset = true, true
		q.p.Reset()
	default:
		q.send(size)
		q.send(1)
	}
}

func (q *chaosPeer) send(n int) {
	if q.eof || q.out == nil {
		return
	}
	b := q.out.next(n)
	q.out.sent += n
	q.p.Send(b)
}

// ended implements chaosParty.
func (q *chaosPeer) ended() bool {
	return q.eof || q.closed || q.child != nil && q.child.program.Exited()
}

// complete implements chaosParty.
func (q *chaosPeer) complete() bool {
	return !q.reset && q.p.Err() == nil && (q.child == nil || !q.child.killed)
}

// settle reads everything from now on. A grandchild lets go of its pipes, or goes on
// without looking at them.
func (q *chaosPeer) settle() {
	left := q.child != nil && q.child.left
	if left && q.child.id%2 == 0 {
		return
	}
	q.p.ResumeReading()
	if left {
		q.closed = true
		q.p.Close()
	}
}

// verify checks what arrived at the peer so far.
func (q *chaosPeer) verify() {
	if q.in == nil {
		return
	}
	got := q.p.Received()
	if len(got) < q.in.got {
		q.c.fail("%s: received bytes are gone", q.in.name)
		return
	}
	if q.in.receive(q.c, got[q.in.got:]) && q.p.EOF() {
		q.in.end(q.c)
	}
}
