package loop

import (
	"github.com/sluice-net/sluice/loop/internal/debug"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// chaosFace is a protocol of an end: the one it has now, or one of the former.
type chaosFace struct {
	e    *chaosEnd
	self transport.BaseProtocol // as it was handed to the transport
}

// enter begins a callback that only the current protocol may get.
func (f *chaosFace) enter(name string, n int) {
	if f.e.face != f {
		f.e.fail("%s goes to a protocol that was replaced", name)
	}
	f.e.enter(name, n)
}

// ConnectionMade implements protocol.Protocol.
func (f *chaosFace) ConnectionMade(t transport.Transport) {
	f.e.begin(t)
	f.enter("CM", 0)
	defer f.e.leave()
	f.e.riot(true)
}

// ConnectionLost implements transport.BaseProtocol.
func (f *chaosFace) ConnectionLost(err error) {
	f.enter("CL", chaosReason(err))
	defer f.e.leave()
	f.e.finish(err)
}

// PauseWriting implements transport.BaseProtocol.
func (f *chaosFace) PauseWriting() {
	f.enter("PW", f.e.tr.WriteBufferSize())
	defer f.e.leave()
	f.e.pausedWriting()
	f.e.riot(false)
}

// ResumeWriting implements transport.BaseProtocol.
func (f *chaosFace) ResumeWriting() {
	f.enter("RW", f.e.tr.WriteBufferSize())
	defer f.e.leave()
	f.e.resumedWriting()
	f.e.riot(false)
}

// EOFReceived implements protocol.Protocol.
func (f *chaosFace) EOFReceived() (keepOpen bool) {
	f.enter("ER", 0)
	defer f.e.leave()
	return f.e.eofReceived()
}

// chaosPlain is a Protocol.
type chaosPlain struct{ chaosFace }

// DataReceived implements protocol.Protocol.
func (p *chaosPlain) DataReceived(data []byte) {
	p.enter("DR", len(data))
	defer p.e.leave()
	if len(data) == 0 {
		p.e.fail("DataReceived of nothing")
	}
	p.e.received(data)
	clear(p.e.c.forward(p.e, data)) // it may be modified while it is ours
	p.e.riot(true)
}

// chaosBuffered is a BufferedProtocol. It offers another buffer each time that
// the one before may still be the kernel's.
type chaosBuffered struct {
	chaosFace
	buf  []byte
	lent bool
	size int // of its buffers
}

// GetBuffer implements protocol.BufferedProtocol.
func (p *chaosBuffered) GetBuffer(hint int) []byte {
	p.enter("GB", hint)
	defer p.e.leave()
	if hint == 0 || hint < -1 {
		p.e.fail("GetBuffer(%d)", hint)
	}
	if !p.e.c.calm && p.e.c.chance(300) {
		p.e.end()
		p.e.emptied = true
		p.e.c.panics++ // it is reported like one
		return []byte{}[:0]
	}
	if p.buf == nil || p.lent {
		p.buf = p.e.buffer(p.size)
	}
	p.lent = true
	p.e.riot(true)
	return p.buf
}

// BufferUpdated implements protocol.BufferedProtocol.
func (p *chaosBuffered) BufferUpdated(n int) {
	p.enter("BU", n)
	defer p.e.leave()
	if !p.lent || n <= 0 || n > len(p.buf) {
		p.e.fail("BufferUpdated(%d) of %d bytes, lent %v", n, len(p.buf), p.lent)
		return
	}
	p.lent = false
	p.e.received(p.buf[:n])
	p.e.riot(true)
}

// newFace makes a protocol for e, of either kind.
func (e *chaosEnd) newFace() (*chaosFace, transport.BaseProtocol) {
	if e.c.random.IntN(2) == 0 {
		p := &chaosPlain{chaosFace: chaosFace{e: e}}
		p.self = p
		return &p.chaosFace, p
	}
	p := &chaosBuffered{chaosFace: chaosFace{e: e}, size: e.c.bufferSize()}
	if e.c.forwards() {
		p.size = max(p.size, 64) // one byte in a round would take too many rounds
	}
	p.self = protocol.Buffered(p)
	return &p.chaosFace, p.self
}

// chaosMemory is a buffer that was lent through GetBuffer.
type chaosMemory struct {
	b         []byte
	allocated bool
}

// buffer returns memory for GetBuffer, which stays the end's until its
// connection is lost.
func (e *chaosEnd) buffer(n int) []byte {
	m := chaosMemory{allocated: e.c.chance(2)}
	if m.allocated {
		m.b = e.c.loop.AllocBuffer(n)
		e.c.allocated++
	} else {
		m.b = make([]byte, n)
	}
	e.memory = append(e.memory, m)
	return m.b
}

// takeBack spoils every buffer that was lent: nobody may use it any more. Those
// of AllocBuffer are freed, which the simulated kernel watches.
func (e *chaosEnd) takeBack() {
	for _, m := range e.memory {
		for i := range m.b {
			m.b[i] = chaosSpoiled
		}
		if m.allocated {
			e.c.loop.FreeBuffer(m.b)
			e.c.allocated--
		}
	}
}

// chaosSpoiled fills memory that is the protocol's again.
const chaosSpoiled = 0xA5

// untouched checks that nothing was written to a buffer after ConnectionLost.
func (e *chaosEnd) untouched() {
	for _, m := range e.memory {
		if m.allocated {
			continue // it is gone with the engine
		}
		for _, b := range m.b {
			if b != chaosSpoiled {
				e.fail("a lent buffer was written to after ConnectionLost")
				return
			}
		}
	}
}

// chaosChecked says that this build checks more and is slower.
const chaosChecked = debug.On
