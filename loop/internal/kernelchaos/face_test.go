package kernelchaos

import (
	"github.com/sluice-net/sluice/loop/internal/exacttest"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// plain is an actor as a Protocol. An actor has one after the other, so that a
// callback to one that was replaced is found.
type plain struct{ *actor }

// lending is an actor as a BufferedProtocol.
type lending struct {
	*actor
	buf []byte
}

// protocol puts a new face on the actor.
func (a *actor) protocol() protocol.Protocol {
	if a.kind != pipeWrite && a.rng.IntN(2) == 0 {
		l := &lending{actor: a}
		a.now = l
		return protocol.Buffered(l)
	}
	p := &plain{a}
	a.now = p
	return p
}

// called checks that face is the actor's.
func (a *actor) called(face any, callback string) {
	if a.now != face {
		a.wrong("%s of a protocol that was replaced", callback)
	}
}

func (p *plain) ConnectionMade(t transport.Transport) {
	p.called(p, "ConnectionMade")
	p.made(t)
}

func (p *plain) DataReceived(data []byte) {
	p.called(p, "DataReceived")
	p.input(data)
	exacttest.Spoil(data) // which is allowed until the call returns
}

func (p *plain) EOFReceived() bool {
	p.called(p, "EOFReceived")
	return p.ended()
}

func (p *plain) PauseWriting() {
	p.called(p, "PauseWriting")
	p.pause()
}

func (p *plain) ResumeWriting() {
	p.called(p, "ResumeWriting")
	p.resume()
}

func (p *plain) ConnectionLost(err error) {
	p.called(p, "ConnectionLost")
	p.gone(err)
}

func (p *lending) ConnectionMade(t transport.Transport) {
	p.called(p, "ConnectionMade")
	p.made(t)
}

// GetBuffer lends registered memory or a slice that nobody had before.
func (p *lending) GetBuffer(int) []byte {
	p.called(p, "GetBuffer")
	if p.lost || p.eof || p.readPaused {
		p.wrong("GetBuffer after the end or while reading is paused")
	}
	n := 1 + p.rng.IntN(pick(p.rng, 1, 100, 4<<10, 64<<10))
	if p.memory == nil && p.rng.IntN(2) == 0 {
		p.memory = p.loop.AllocBuffer(n)
	}
	if p.memory != nil && p.rng.IntN(4) > 0 {
		n = min(n, len(p.memory))
		at := p.rng.IntN(len(p.memory) - n + 1)
		p.buf = p.memory[at : at+n]
	} else {
		p.buf = make([]byte, n)
	}
	exacttest.Spoil(p.buf)
	return p.buf
}

func (p *lending) BufferUpdated(n int) {
	p.called(p, "BufferUpdated")
	if n <= 0 || n > len(p.buf) {
		p.wrong("BufferUpdated(%d) of %d", n, len(p.buf))
		return
	}
	buf := p.buf
	p.buf = nil // the kernel must not know it any more: the collector takes it
	p.input(buf[:n])
}

func (p *lending) EOFReceived() bool {
	p.called(p, "EOFReceived")
	return p.ended()
}

func (p *lending) PauseWriting() {
	p.called(p, "PauseWriting")
	p.pause()
}

func (p *lending) ResumeWriting() {
	p.called(p, "ResumeWriting")
	p.resume()
}

func (p *lending) ConnectionLost(err error) {
	p.called(p, "ConnectionLost")
	p.gone(err)
}
