package loop

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// chaosPanic is what a callback of ours panics with.
type chaosPanic struct{ id int }

// chaosAction is something that may be done at any moment. The weights are
// drawn for each run, many of them 0: what is always done hides what is done
// without it.
type chaosAction struct {
	name   string
	weight int
	do     func(e *chaosEnd)
}

// chaosActionList is every action there is.
func chaosActionList() []chaosAction {
	return []chaosAction{
		{"Write", 30, func(e *chaosEnd) { e.write(e.c.size()) }},
		{"Write nothing", 2, func(e *chaosEnd) { e.write(0) }},
		{"WriteLines", 15, (*chaosEnd).writeLines},
		{"WriteOwned", 15, func(e *chaosEnd) { e.writeOwned(e.c.size()) }},
		{"Sendfile", 10, (*chaosEnd).sendFile},
		{"burst", 2, (*chaosEnd).burst},
		{"WriteEOF", 2, (*chaosEnd).writeEOF},
		{"Close", 2, (*chaosEnd).close},
		{"Abort", 2, (*chaosEnd).abort},
		{"PauseReading", 10, (*chaosEnd).pauseReading},
		{"ResumeReading", 12, (*chaosEnd).resumeReading},
		{"pause and resume", 5, func(e *chaosEnd) { e.pauseReading(); e.resumeReading() }},
		{"SetProtocol", 6, (*chaosEnd).setProtocol},
		{"SetProtocol badly", 1, (*chaosEnd).setBadProtocol},
		{"SetWriteBufferLimits", 8, (*chaosEnd).setLimits},
		{"look", 4, (*chaosEnd).look},
		{"later", 12, func(e *chaosEnd) { e.c.later() }},
		{"server", 6, func(e *chaosEnd) { e.c.server() }},
		{"dial", 6, func(e *chaosEnd) { e.c.dial() }},
		{"cancel", 2, func(e *chaosEnd) { e.c.cancelDial() }},
	}
}

// riot does some random things in a callback, to this end or another one, and
// panics seldom. fatal says that a panic of this callback ends the connection.
func (e *chaosEnd) riot(fatal bool) {
	c := e.c
	for c.acts > 0 && !c.calm && !c.over && c.chance(2) {
		c.act(e)
	}
	if c.calm || c.over || c.panicRate == 0 || !c.chance(c.panicRate) {
		return
	}
	if fatal {
		e.end()
	}
	c.panics++
	panic(chaosPanic{e.id})
}

// end notes that the transport ends with the callback that is under way.
func (e *chaosEnd) end() { e.ending = true }

// act does one random thing to e, or to another end.
func (c *chaos) act(e *chaosEnd) {
	c.acts--
	if e == nil || c.chance(5) {
		e = c.anyEnd()
	}
	switch {
	case e == nil && c.kin:
		c.actOfKin()
		return
	case e == nil:
		c.dial()
		return
	}
	n := c.random.IntN(c.weights)
	for i := range c.actions {
		if n -= c.weight[i]; n >= 0 {
			continue
		}
		c.note(-1, c.actions[i].name, 0)
		c.actions[i].do(e)
		return
	}
}

// within calls a method of the transport.
func (e *chaosEnd) within(call string, f func()) {
	before := e.call
	e.call = call
	defer func() { e.call = before }()
	f()
	e.check(call)
}

// refusal is the error that writing n bytes must meet.
func (e *chaosEnd) refusal(n int) error {
	switch {
	case e.eofAsked:
		return transport.ErrEOFWritten
	case e.tr.IsClosing():
		return transport.ErrClosed
	case e.opts.WriteCap > 0 && e.tr.WriteBufferSize()+n > e.opts.WriteCap:
		return transport.ErrBufferFull
	}
	return nil
}

// accept counts n bytes as written, before the call: PauseWriting may write
// more inside it. It returns the error that the call must return.
func (e *chaosEnd) accept(n int) error {
	err := e.refusal(n)
	if err == nil {
		e.out.sent += n
	}
	e.c.note(e.id, "write", n)
	return err
}

// answered compares the error of a write with the one that was due.
func (e *chaosEnd) answered(call string, err, want error) {
	if !errors.Is(err, want) || (want == nil) != (err == nil) {
		e.fail("%s returned %v instead of %v", call, err, want)
	}
}

func (e *chaosEnd) write(n int) {
	b := e.out.next(n)
	want := e.accept(n)
	e.within("Write", func() {
		k, err := e.tr.Write(b)
		e.answered("Write", err, want)
		if err == nil && k != n || err != nil && k != 0 {
			e.fail("Write took %d of %d, %v", k, n, err)
		}
		clear(b) // it was not retained
	})
}

func (e *chaosEnd) writeLines() {
	n := e.c.size()
	b := e.out.next(n)
	want := e.accept(n)
	var lines [][]byte
	for rest := b; len(rest) > 0; {
		k := min(e.c.random.IntN(1+n/2), len(rest))
		lines, rest = append(lines, rest[:k]), rest[k:]
		if len(lines) > 30 {
			lines, rest = append(lines, rest), nil
		}
	}
	lines = append(lines, nil)
	e.within("WriteLines", func() {
		e.answered("WriteLines", e.tr.WriteLines(lines), want)
		clear(b)
	})
}

func (e *chaosEnd) writeOwned(n int) {
	b := e.out.next(n)
	allocated := n > 0 && e.c.chance(3)
	if allocated {
		copied := e.c.loop.AllocBuffer(n)
		copy(copied, b)
		b = copied
		e.c.allocated++
	}
	free := func() {
		for i := range b {
			b[i] = chaosSpoiled
		}
		if allocated {
			e.c.loop.FreeBuffer(b)
			e.c.allocated--
		}
	}
	want := e.accept(n)
	released := false
	release := func() {
		switch {
		case released:
			e.fail("a slice of WriteOwned was released twice")
		case want != nil:
			e.fail("a slice was released that WriteOwned did not take")
		case e.inside > 0:
			e.fail("a slice was released inside WriteOwned")
		case e.lost:
			e.fail("a slice was released after ConnectionLost")
		}
		released = true
		e.owned--
		e.c.note(e.id, "release", n)
		free()
		if e.c.acts > 0 && !e.c.calm && e.c.chance(4) {
			e.c.act(e)
		}
	}
	if want == nil {
		e.owned++
	}
	e.inside++
	e.within("WriteOwned", func() {
		defer func() { e.inside-- }()
		e.answered("WriteOwned", e.tr.(transport.OwnedWriter).WriteOwned(b, release), want)
	})
	if want != nil {
		free()
	}
}

// sendFile queues a file, which the simulated kernel reads like any other.
func (e *chaosEnd) sendFile() {
	n := e.c.size()
	from := proactor.File{ReaderAt: bytes.NewReader(e.out.next(n))}
	var want error
	switch {
	case e.eofAsked:
		want = transport.ErrEOFWritten
	case e.tr.IsClosing():
		want = transport.ErrClosed
	default:
		e.out.sent += n
		e.owned++
	}
	e.c.note(e.id, "file", n)
	ended := false
	done := func(sent int64, err error) {
		e.c.note(e.id, "file ended", int(sent))
		switch {
		case ended || want != nil:
			e.fail("a file ended twice, or was not taken")
		case e.inside > 0:
			e.fail("a file ended inside the call that sends it")
		case e.lost:
			e.fail("a file ended after ConnectionLost")
		case err == nil && sent != int64(n) || sent > int64(n):
			e.fail("%d of %d bytes of a file were sent: %v", sent, n, err)
		case err != nil && !e.tr.IsClosing():
			e.fail("a file ended with %v on an open connection", err)
		}
		ended = true
		e.owned--
		if e.c.acts > 0 && !e.c.calm && e.c.chance(4) {
			e.c.act(e)
		}
	}
	e.inside++
	e.within("SendFile", func() {
		defer func() { e.inside-- }()
		file := &fdio.File{From: from, Left: int64(n), Done: done}
		e.answered("SendFile", e.tr.(*fdio.Stream).SendFile(file), want)
	})
}

// burst queues more slices than one send can carry, or a few.
func (e *chaosEnd) burst() {
	n := 2 + e.c.random.IntN(40)
	if e.c.chance(4) {
		n = 1030
	}
	for range n {
		if !e.alive() || e.tr.IsClosing() {
			return
		}
		e.writeOwned(1)
	}
}

func (e *chaosEnd) writeEOF() {
	if !e.tr.IsClosing() {
		e.eofAsked = true
	}
	e.within("WriteEOF", func() { _ = e.tr.WriteEOF() }) // ENOTCONN of a dead socket
}

func (e *chaosEnd) close() {
	e.closed = true
	e.within("Close", func() {
		if err := e.tr.Close(); err != nil || !e.tr.IsClosing() {
			e.fail("Close: %v, IsClosing %v", err, e.tr.IsClosing())
		}
	})
}

func (e *chaosEnd) abort() {
	e.aborted = true
	e.within("Abort", func() {
		e.tr.Abort()
		if !e.tr.IsClosing() {
			e.fail("not closing after Abort")
		}
	})
}

func (e *chaosEnd) pauseReading() {
	if !e.tr.IsClosing() {
		e.paused = true
	}
	e.within("PauseReading", e.tr.PauseReading)
}

func (e *chaosEnd) resumeReading() {
	if !e.tr.IsClosing() {
		e.paused = false
	}
	e.within("ResumeReading", e.tr.ResumeReading)
}

func (e *chaosEnd) setProtocol() {
	face, p := e.newFace()
	e.within("SetProtocol", func() {
		err := e.tr.SetProtocol(p)
		if e.tr.(*fdio.Stream).State() == fdio.Closed {
			e.answered("SetProtocol", err, transport.ErrClosed)
			return
		}
		e.answered("SetProtocol", err, nil)
		e.face = face
	})
}

func (e *chaosEnd) setBadProtocol() {
	e.within("SetProtocol", func() {
		e.answered("SetProtocol", e.tr.SetProtocol(nil), transport.ErrNilProtocol)
		var datagrams struct{ transport.BaseProtocol }
		e.answered("SetProtocol", e.tr.SetProtocol(datagrams), transport.ErrProtocolKind)
	})
}

// setLimits sets random water marks, some of them wrong.
func (e *chaosEnd) setLimits() {
	marks := []int{-1, 0, 1, 100, 4 << 10, 20 << 10, 64 << 10}
	mark := func() int { return marks[e.c.random.IntN(len(marks))] }
	l := transport.Limits{High: mark(), Low: mark()}
	want := l
	switch {
	case l.High < 0 && l.Low < 0:
		want = transport.DefaultLimits
	case l.High < 0:
		want.High = 4 * l.Low
	case l.Low < 0:
		want.Low = l.High / 4
	}
	var refused error
	if want.Low > want.High {
		refused = transport.ErrBadLimits
	} else {
		e.limits = want
	}
	e.within("SetWriteBufferLimits", func() {
		e.answered("SetWriteBufferLimits", e.tr.SetWriteBufferLimits(l), refused)
	})
}

// look calls what changes nothing.
func (e *chaosEnd) look() {
	_ = fmt.Sprint(e.tr)
	if !e.tr.CanWriteEOF() || e.tr.ExtraInfo("nonsense") != nil {
		e.fail("CanWriteEOF or ExtraInfo is wrong")
	}
	if _, ok := transport.Socket(e.tr); ok != (e.tr.Protocol() != nil) {
		e.fail("a socket %v, protocol %v", ok, e.tr.Protocol())
	}
	e.check("look")
}
