package loop

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// chaosEnd is one end of a connection: a transport, and the model of what it
// may do next. I1 to I12 are the invariants of the specification.
type chaosEnd struct {
	c    *chaos
	id   int
	tr   transport.Transport
	fd   int
	face *chaosFace
	opts ConnectionOptions // what it was made with

	in, out *chaosFlow
	memory  []chaosMemory
	owned   int // slices given to WriteOwned and not released
	limits  transport.Limits

	depth  int    // callbacks under way
	call   string // the method of the transport under way
	inside int    // calls of WriteOwned under way

	made, lost, eof         bool
	paused, writePaused     bool
	eofAsked                bool
	closed, aborted, ending bool // by us; ending: by a panic
	emptied                 bool // by an empty buffer
	eofClosed               bool // EOFReceived returned false
	clean                   bool // ConnectionLost(nil)
}

// fail notes a broken promise.
func (e *chaosEnd) fail(format string, args ...any) {
	e.c.fail("end %d: %s", e.id, fmt.Sprintf(format, args...))
}

// newEnd makes an end and its first protocol.
func (c *chaos) newEnd(o ConnectionOptions) (*chaosEnd, protocol.Protocol) {
	e := &chaosEnd{c: c, id: len(c.ends), opts: o, limits: transport.DefaultLimits}
	c.ends = append(c.ends, e)
	face, p := e.newFace()
	e.face = face
	return e, p.(protocol.Protocol)
}

// begin is ConnectionMade (I1).
func (e *chaosEnd) begin(t transport.Transport) {
	if e.made {
		e.fail("ConnectionMade twice")
	}
	e.made, e.tr, e.fd = true, t, t.(*fdio.Stream).FD()
	e.c.byTransport[t] = e
	local, peer := fmt.Sprint(transport.SockName(t)), fmt.Sprint(transport.PeerName(t))
	if transport.PeerName(t) == nil { // reset before it was accepted
		peer = fmt.Sprint("unknown ", e.id)
	}
	e.out, e.in = e.c.flow(local, peer), e.c.flow(peer, local)
	e.in.blind = transport.PeerName(t) == nil
	if e.out.writer != nil || e.in.reader != nil {
		e.fail("%s is not a new connection", e.out.name)
	}
	e.out.writer, e.in.reader = e, e
}

// enter checks what holds at the start of every callback: no two overlap, none
// is nested in a call but PauseWriting (I10), none follows ConnectionLost (I2,
// I12), and those that receive come neither after EOF (I3, I4), nor while
// reading is paused (I7), nor when the transport closes.
func (e *chaosEnd) enter(name string, n int) {
	e.c.note(e.id, name, n)
	switch {
	case !e.made:
		e.fail("%s before ConnectionMade", name)
	case e.lost:
		e.fail("%s after ConnectionLost", name)
	case name != "PW" && (e.depth > 0 || e.call != "" || e.c.depth > 0):
		e.fail("%s inside a callback or %q", name, e.call)
	}
	switch name {
	case "DR", "GB", "BU", "ER":
		if e.eof {
			e.fail("%s after EOF", name)
		}
		if e.paused {
			e.fail("%s while reading is paused", name)
		}
		if e.tr.IsClosing() {
			e.fail("%s of a closing transport", name)
		}
	}
	e.depth++
	e.c.depth++
}

func (e *chaosEnd) leave() {
	e.depth--
	e.c.depth--
}

// received takes bytes (I8).
func (e *chaosEnd) received(data []byte) { e.in.receive(e.c, data) }

// eofReceived is EOFReceived (I4).
func (e *chaosEnd) eofReceived() (keepOpen bool) {
	e.eof = true
	e.in.end(e.c)
	e.riot(true)
	keepOpen = !e.c.calm && e.c.chance(3)
	e.eofClosed = e.eofClosed || !keepOpen
	return keepOpen
}

// pausedWriting is PauseWriting (I6, I11).
func (e *chaosEnd) pausedWriting() {
	switch e.call {
	case "Write", "WriteLines", "WriteOwned", "SetWriteBufferLimits":
	default:
		e.fail("PauseWriting inside %q", e.call)
	}
	if e.writePaused {
		e.fail("PauseWriting twice")
	}
	e.writePaused = true
	if size := e.tr.WriteBufferSize(); size <= e.limits.High {
		e.fail("PauseWriting at %d bytes of %+v", size, e.limits)
	}
}

// resumedWriting is ResumeWriting (I6, I11).
func (e *chaosEnd) resumedWriting() {
	if !e.writePaused {
		e.fail("ResumeWriting without PauseWriting")
	}
	if e.aborted || e.ending {
		e.fail("ResumeWriting after Abort")
	}
	e.writePaused = false
	if size := e.tr.WriteBufferSize(); size > e.limits.Low {
		e.fail("ResumeWriting at %d bytes of %+v", size, e.limits)
	}
}

// finish is ConnectionLost (I2): with a reason that there is, and after the
// kernel has let go of everything.
func (e *chaosEnd) finish(err error) {
	e.lost, e.clean = true, err == nil
	if !e.plausible(err) {
		e.fail("ConnectionLost(%v) for no reason", err)
	}
	if e.c.engine.busy(e.fd) {
		e.fail("ConnectionLost with an operation in flight")
	}
	if e.owned > 0 {
		e.fail("ConnectionLost with %d slices not released", e.owned)
	}
	if !e.tr.IsClosing() || e.tr.IsReading() || e.tr.WriteBufferSize() != 0 {
		e.fail("inside ConnectionLost: %v", e.tr)
	}
	e.takeBack()
	e.riot(false)
}

// plausible reports whether something happened that ends a connection with err.
func (e *chaosEnd) plausible(err error) bool {
	var op *net.OpError
	var errno syscall.Errno
	switch {
	case err == nil:
		return e.closed || e.aborted || e.eofClosed
	case errors.As(err, &op):
		return errors.As(err, &errno)
	case errors.Is(err, protocol.ErrEmptyBuffer):
		return e.emptied
	case errors.Is(err, transport.ErrIdleTimeout):
		return e.opts.IdleTimeout > 0
	case errors.Is(err, transport.ErrCloseTimeout):
		return e.opts.CloseTimeout > 0 && (e.closed || e.eofClosed)
	case errors.Is(err, ErrLoopClosed):
		return e.c.ending
	}
	return e.ending && isChaos(err)
}

// chaosReason is a number for the trace.
func chaosReason(err error) int {
	var errno syscall.Errno
	switch {
	case err == nil:
		return 0
	case errors.As(err, &errno):
		return int(errno)
	}
	return -1
}

// ended implements chaosParty.
func (e *chaosEnd) ended() bool { return e.eofAsked || e.lost }

// complete implements chaosParty (I9).
func (e *chaosEnd) complete() bool {
	return !e.aborted && !e.ending && (!e.lost || e.clean)
}

// alive reports whether methods of the transport make sense.
func (e *chaosEnd) alive() bool { return e.made && !e.lost }

// check verifies what must hold between any two things that happen (I11).
func (e *chaosEnd) check(after string) {
	size, limits := e.tr.WriteBufferSize(), e.tr.WriteBufferLimits()
	flying := e.c.engine.flying(e.fd) // of which the kernel may have sent a part
	switch {
	case limits != e.limits:
		e.fail("after %s: limits are %+v, not %+v", after, limits, e.limits)
	case size < 0 || !e.lost && size-flying > e.out.sent-e.out.got:
		e.fail("after %s: %d buffered, %d sent, %d received", after, size, e.out.sent, e.out.got)
	case (e.aborted || e.ending && e.depth == 0 || e.lost) && size != 0:
		e.fail("after %s: %d buffered of a dead connection", after, size)
	}
	if e.aborted || e.ending || e.lost || e.tr.(*fdio.Stream).State() > fdio.Closing {
		return
	}
	switch {
	case e.tr.WritePaused() != e.writePaused:
		e.fail("after %s: WritePaused is %v", after, !e.writePaused)
	case !e.writePaused && size > limits.High:
		e.fail("after %s: %d buffered with %+v, not paused", after, size, limits)
	case size < flying:
		e.fail("after %s: %d buffered, more in flight", after, size)
	case e.tr.IsReading() != (!e.tr.IsClosing() && !e.paused && !e.eof):
		e.fail("after %s: IsReading is %v", after, e.tr.IsReading())
	case e.tr.Protocol() != e.face.self:
		e.fail("after %s: Protocol is not the one that was set", after)
	}
}

// timeoutIn returns a random timeout, seldom.
func (c *chaos) timeoutIn(limit time.Duration) time.Duration {
	if c.chance(8) {
		return 1 + c.upTo(limit)
	}
	return 0
}
