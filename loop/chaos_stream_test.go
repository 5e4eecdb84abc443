package loop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/simio"
	"github.com/sluice-net/sluice/transport"
)

// chaosStream is one direction between a transport of the loop's and a scripted
// peer: a pipe of its own, or one of a child's. It has what is the same for both.
type chaosStream struct {
	c      *chaos
	id     int
	flow   *chaosFlow
	peer   *chaosPeer
	tr     transport.BaseTransport // nil before it is made
	writes bool

	lost, clean         bool // clean: lost without an error
	paused, writePaused bool
	closed              bool // by us, or with a child
	dropped             bool // what was written need not arrive
}

// newStream makes the model of a stream.
func (c *chaos) newStream(writes bool) *chaosStream {
	s := &chaosStream{c: c, id: chaosKinID + len(c.streams), writes: writes}
	s.flow = c.flow(fmt.Sprint("stream ", s.id), "")
	c.streams = append(c.streams, s)
	return s
}

// attach gives it its other end, which may be a child's.
func (s *chaosStream) attach(p *simio.Peer, child *chaosChild) {
	s.peer = &chaosPeer{c: s.c, p: p, child: child, pipe: true}
	if s.writes {
		s.flow.writer, s.flow.reader, s.peer.in = s, s.peer, s.flow
	} else {
		s.flow.writer, s.flow.reader, s.peer.out = s.peer, s, s.flow
	}
	s.c.script(s.peer)
}

func (s *chaosStream) fail(format string, args ...any) {
	s.c.fail("stream %d: %s", s.id, fmt.Sprintf(format, args...))
}

// ended implements chaosParty. The end of the loop ends a pipe without a word.
func (s *chaosStream) ended() bool { return s.closed || s.lost || s.c.ending }

// complete implements chaosParty.
func (s *chaosStream) complete() bool { return s.lost && s.clean && !s.dropped }

// alive reports whether methods of the transport make sense.
func (s *chaosStream) alive() bool { return s.tr != nil && !s.lost }

// enter checks what holds for each callback of streams and children: none is
// nested in another or in a call, but PauseWriting, and ConnectionMade of a pipe,
// which is called inside the function that connects it.
func (c *chaos) enter(id int, name string, n int) {
	c.note(id, name, n)
	if name != "PW" && name != "CM" && (c.depth > 0 || c.calls > 0) {
		c.fail("%d: %s inside a callback or a call", id, name)
	}
	c.depth++
}

func (c *chaos) leave() { c.depth-- }

// riot does some random things in a callback, and panics seldom. fatal is called
// before a panic that ends what it is about; nil where none does.
func (c *chaos) riot(fatal func()) {
	for c.acts > 0 && !c.calm && !c.over && c.chance(2) {
		c.act(nil)
	}
	if c.calm || c.over || c.panicRate == 0 || !c.chance(c.panicRate) {
		return
	}
	if fatal != nil {
		fatal()
	}
	c.panics++
	panic(chaosPanic{-1})
}

// within calls a method.
func (c *chaos) within(f func()) {
	c.calls++
	defer func() { c.calls-- }()
	f()
}

// received takes what the peer sent: in order, not while reading is paused or the
// transport closes, and nothing after its end.
func (s *chaosStream) received(data []byte) {
	switch {
	case s.lost || s.tr.IsClosing():
		s.fail("%d bytes after its end: %v", len(data), s.tr)
	case s.paused:
		s.fail("%d bytes while reading is paused", len(data))
	case len(data) == 0:
		s.fail("no bytes")
	}
	s.flow.receive(s.c, data)
	clear(s.c.forward(nil, data)) // it may be modified while it is ours
}

// finish is the end of the stream. One that was not ended by us ends after all that
// the peer has written.
func (s *chaosStream) finish(err error) {
	var op *net.OpError
	var errno syscall.Errno
	switch {
	case s.lost:
		s.fail("lost twice")
	case err == nil, errors.As(err, &op) && errors.As(err, &errno), isChaos(err):
	case errors.Is(err, ErrLoopClosed) && s.c.ending:
	default:
		s.fail("lost with %v", err)
	}
	if s.c.engine.busy(s.tr.(*fdio.Stream).FD()) {
		s.fail("lost with an operation in flight")
	}
	s.lost, s.clean = true, err == nil
	if !s.writes && err == nil && !s.closed && !s.c.ending {
		s.flow.end(s.c)
	}
}

func (s *chaosStream) pausedWriting() {
	if s.writePaused || !s.writes {
		s.fail("PauseWriting twice")
	}
	s.writePaused = true
}

func (s *chaosStream) resumedWriting() {
	if !s.writePaused {
		s.fail("ResumeWriting without PauseWriting")
	}
	s.writePaused = false
}

// act calls a random method.
func (s *chaosStream) act() {
	n := s.c.random.IntN(14)
	switch {
	case !s.alive():
	case s.writes && n == 0:
		s.limits()
	case s.writes && n == 1:
		s.end()
	case s.writes:
		s.write(s.c.size())
	case n == 0:
		s.close()
	case n < 5:
		s.pause()
	case n < 11:
		s.resume()
	default:
		s.pause()
		s.resume()
	}
}

func (s *chaosStream) write(n int) {
	t, want := s.tr.(transport.WriteTransport), error(nil)
	b := s.flow.next(n)
	if t.IsClosing() {
		want = transport.ErrClosed
	} else {
		s.flow.sent += n // before the call: PauseWriting may write more
	}
	s.c.within(func() {
		if k, err := t.Write(b); (err != nil) != (want != nil) || err == nil && k != n {
			s.fail("Write: %d of %d, %v instead of %v", k, n, err, want)
		}
	})
	clear(b) // it was not retained
	if s.alive() && !s.closed && !s.writePaused &&
		t.WriteBufferSize() > t.WriteBufferLimits().High && !t.IsClosing() {
		s.fail("%d bytes are buffered and nobody was told", t.WriteBufferSize())
	}
}

func (s *chaosStream) limits() {
	l := transport.Limits{High: s.c.random.IntN(64 << 10)}
	s.c.within(func() {
		if err := s.tr.(transport.WriteTransport).SetWriteBufferLimits(l); err != nil {
			s.fail("SetWriteBufferLimits: %v", err)
		}
	})
}

// end ends the output in one of three ways.
func (s *chaosStream) end() {
	t := s.tr.(transport.WriteTransport)
	s.closed = true
	s.c.within(func() {
		switch s.c.random.IntN(3) {
		case 0:
			t.Close()
		case 1:
			_ = t.WriteEOF() // it may be closing
		default:
			s.dropped = true
			t.Abort()
		}
	})
	if !t.IsClosing() {
		s.fail("not closing: %v", t)
	}
}

func (s *chaosStream) close() {
	s.closed = true
	s.c.within(func() { s.tr.Close() })
}

func (s *chaosStream) pause() {
	s.paused = s.paused || !s.tr.IsClosing()
	s.c.within(s.tr.(transport.ReadTransport).PauseReading)
}

func (s *chaosStream) resume() {
	s.paused = s.paused && s.tr.IsClosing()
	s.c.within(s.tr.(transport.ReadTransport).ResumeReading)
}

// quiet checks a stream that is still there, when everybody has read on for long.
func (s *chaosStream) quiet() {
	switch {
	case s.tr.IsClosing():
		s.fail("it closes for ever, though its peer reads: %v", s.tr)
	case s.peer == nil: // a child that was killed before it ran
	case s.peer.child != nil && s.peer.child.left: // it need not read or end
	case s.peer.ended() || s.peer.p.Err() != nil:
		s.fail("it was never told that its peer is gone: %v", s.tr)
	case s.flow.got != s.flow.sent:
		s.fail("%d bytes of %d arrived: %v", s.flow.got, s.flow.sent, s.tr)
	case s.writePaused:
		s.fail("writing is paused for ever: %v", s.tr)
	}
}

// chaosPipe is the protocol of a pipe that is no child's.
type chaosPipe struct {
	*chaosStream
	made, eof, ending bool
}

// pipe makes a pipe, one end of which becomes a transport.
func (c *chaos) pipe() {
	if c.pipes >= chaosPipes || c.calm {
		return
	}
	c.pipes++
	open, writes := c.world.PipeReader, c.chance(2)
	if writes {
		open = c.world.PipeWriter
	}
	fd, peer := open()
	f, err := c.world.File(fd)
	if err != nil {
		c.fail("%v", err)
		return
	}
	p := &chaosPipe{chaosStream: c.newStream(writes)}
	p.attach(peer, nil)
	ctx := context.Background()
	if writes {
		c.loop.ConnectWritePipeFunc(ctx, p, f, func(_ transport.WriteTransport, err error) {
			p.connected(err)
		})
		return
	}
	c.loop.ConnectReadPipeFunc(ctx, p, f, func(_ transport.ReadTransport, err error) {
		p.connected(err)
	})
}

func (p *chaosPipe) end() { p.ending = true }

func (p *chaosPipe) connected(err error) {
	p.c.note(p.id, "connected", chaosReason(err))
	switch {
	case err == nil && p.made, p.ending && isChaos(err):
	case p.c.ending && errors.Is(err, ErrLoopClosed) && !p.made:
		p.lost = true
	default:
		p.fail("connected: %v, made %v", err, p.made)
	}
}

func (p *chaosPipe) enter(name string, n int) {
	if name != "CM" && (!p.made || p.lost) {
		p.fail("%s, made %v, lost %v", name, p.made, p.lost)
	}
	p.c.enter(p.id, name, n)
}

// ConnectionMade implements protocol.Protocol.
func (p *chaosPipe) ConnectionMade(t transport.Transport) {
	p.enter("CM", 0)
	defer p.c.leave()
	if p.made {
		p.fail("ConnectionMade twice")
	}
	p.made, p.tr = true, t
	p.c.riot(p.end)
}

// DataReceived implements protocol.Protocol.
func (p *chaosPipe) DataReceived(data []byte) {
	p.enter("DR", len(data))
	defer p.c.leave()
	p.received(data)
	p.c.riot(p.end)
}

// EOFReceived implements protocol.Protocol.
func (p *chaosPipe) EOFReceived() (keepOpen bool) {
	p.enter("ER", 0)
	defer p.c.leave()
	if p.eof || p.paused || p.writes || !p.tr.IsClosing() {
		p.fail("EOFReceived of %v", p.tr)
	}
	p.eof = true
	p.flow.end(p.c)
	p.c.riot(p.end)
	return p.c.chance(2)
}

// ConnectionLost implements transport.BaseProtocol.
func (p *chaosPipe) ConnectionLost(err error) {
	p.enter("CL", chaosReason(err))
	defer p.c.leave()
	if isChaos(err) != p.ending && !p.closed && !p.eof && !p.c.ending {
		p.fail("lost with %v, ending %v", err, p.ending)
	}
	if err == nil && !p.writes && !p.eof && !p.closed && !p.c.ending {
		p.fail("lost without EOFReceived")
	}
	p.finish(err)
	p.c.riot(nil)
}

// PauseWriting implements transport.BaseProtocol.
func (p *chaosPipe) PauseWriting() {
	p.enter("PW", 0)
	defer p.c.leave()
	p.pausedWriting()
	p.c.riot(nil)
}

// ResumeWriting implements transport.BaseProtocol.
func (p *chaosPipe) ResumeWriting() {
	p.enter("RW", 0)
	defer p.c.leave()
	p.resumedWriting()
	p.c.riot(nil)
}
