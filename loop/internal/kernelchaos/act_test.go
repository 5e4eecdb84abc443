package kernelchaos

import (
	"context"
	"errors"
	"net"
	"os"
	"time"

	"github.com/sluice-net/sluice/loop/internal/exacttest"
	"github.com/sluice-net/sluice/transport"
	"golang.org/x/sys/unix"
)

// What an actor does. Each writing act takes the next bytes of its stream.

// act does one thing by chance.
func (a *actor) act() {
	if a.silent || a.lost {
		return
	}
	switch n := a.rng.IntN(100); {
	case n < 30:
		a.writeSome(func() { a.write(1 + a.rng.IntN(pick(a.rng, 10, 1000, 100_000))) })
	case n < 40:
		a.writeSome(a.writeLines)
	case n < 55:
		a.writeSome(a.writeOwned)
	case n < 60:
		a.writeSome(a.sendFile)
	case n < 68:
		a.pauseReading()
	case n < 78:
		a.resumeReading()
	case n < 84:
		a.setLimits()
	case n < 90:
		a.replace()
	case n < 92 && a.eof && !a.peer.plan.parks:
		a.close()
	case a.done() && !a.peer.plan.parks:
		a.conclude()
	case a.done() && n == 99: // output that waits behind an end
		a.writeEOF()
	}
}

// done reports whether the actor has written all that it wanted.
func (a *actor) done() bool { return a.written >= a.limit }

// conclude ends the stream in one of the ways that there are.
func (a *actor) conclude() {
	switch n := a.rng.IntN(12); {
	case n == 0:
		a.abort()
	case n < 3:
		a.close()
	case n < 6:
		a.writeEOF()
	case n == 6 && a.kind != pipeRead: // in vain, all of it
		a.close()
		a.write(10)
		a.abort()
	}
}

// soon has the actor act again, if it does not by itself.
func (a *actor) soon() {
	if a.scheduled || a.lost || a.silent || a.rng.IntN(3) == 0 {
		return
	}
	a.scheduled = true
	run := func() {
		a.scheduled = false
		a.act()
		a.soon()
	}
	if a.rng.IntN(4) == 0 {
		a.loop.CallSoon(run)
	} else {
		a.loop.CallLater(time.Duration(a.rng.IntN(20_000))*time.Microsecond, run)
	}
}

// writes reports whether the actor may write.
func (a *actor) writes() bool {
	return a.kind != pipeRead && !a.closed && !a.aborted && !a.lost && !a.eofWritten &&
		!a.t.IsClosing()
}

// writeSome does what writes, unless enough was written or too much is buffered.
func (a *actor) writeSome(write func()) {
	most := 1 << 20
	if a.paused && a.rng.IntN(4) > 0 {
		return
	}
	if !a.done() && a.t.WriteBufferSize() < most && a.kind != pipeRead {
		write()
	}
}

// took checks the answer to a write of n bytes, which were counted already: a write
// inside PauseWriting comes behind them.
func (a *actor) took(n int, err error) {
	if err == nil {
		return
	}
	a.written -= uint64(n)
	switch {
	case errors.Is(err, transport.ErrEOFWritten) && a.eofWritten:
	case errors.Is(err, net.ErrClosed) && a.t.IsClosing():
	default:
		a.wrong("a write: %v", err)
	}
}

func (a *actor) write(n int) {
	a.note('w')
	p := exacttest.Bytes(n, a.fromLoop(), a.written)
	a.written += uint64(n)
	k, err := a.t.Write(p)
	if k != n && err == nil {
		a.wrong("Write of %d bytes: %d", n, k)
	}
	a.took(n, err)
	exacttest.Spoil(p) // it was copied
}

// cut cuts n bytes of the stream from where it is into slices of up to most bytes.
func (a *actor) cut(n, most int) [][]byte {
	var out [][]byte
	for off := 0; off < n; {
		k := min(1+a.rng.IntN(most), n-off)
		out = append(out, exacttest.Bytes(k, a.fromLoop(), a.written+uint64(off)))
		off += k
	}
	return out
}

// writeLines writes up to some thousand slices, with empty ones between.
func (a *actor) writeLines() {
	a.note('l')
	most := pick(a.rng, 12, 12, 1000)
	n := 1 + a.rng.IntN(30_000)
	lines := a.cut(n, most)
	lines = append(lines, nil)
	a.written += uint64(n)
	a.took(n, a.t.WriteLines(lines))
	for _, line := range lines {
		exacttest.Spoil(line)
	}
}

// writeOwned gives away up to some thousand slices, or one that is large.
func (a *actor) writeOwned() {
	a.note('o')
	n, most := 1+a.rng.IntN(pick(a.rng, 100, 20_000)), 12
	if a.rng.IntN(4) == 0 {
		n, most = 1+a.rng.IntN(200_000), 1<<20
	}
	// One at a time: PauseWriting, inside the call, may write as well.
	for n > 0 {
		p := exacttest.Bytes(min(1+a.rng.IntN(most), n), a.fromLoop(), a.written)
		if n -= len(p); !a.give(p) {
			return
		}
	}
}

// give gives one slice away. In half of the cases nobody but the transport knows it;
// in the others it is spoilt as soon as it comes back.
func (a *actor) give(p []byte) bool {
	n := len(p)
	spoil := p
	if a.rng.IntN(2) == 0 {
		spoil = nil
	}
	release := func() {
		if a.inOwned {
			a.wrong("released inside WriteOwned")
		}
		if a.lost {
			a.wrong("released after ConnectionLost")
		}
		exacttest.Spoil(spoil)
		if a.released++; a.released > a.owned {
			a.wrong("%d slices released of %d", a.released, a.owned)
		}
	}
	a.written += uint64(n)
	a.owned++
	outer := a.inOwned
	a.inOwned = true
	err := a.t.(transport.OwnedWriter).WriteOwned(p, release)
	a.inOwned = outer
	if err != nil {
		a.owned--
	}
	a.took(n, err)
	return err == nil
}

// sendFile sends a file whose middle is the next bytes of the stream.
func (a *actor) sendFile() {
	if a.kind.pipe() || !a.writes() {
		return
	}
	a.note('f')
	n := 1 + a.rng.IntN(pick(a.rng, 100, 10_000, 300_000))
	before := a.rng.IntN(100)
	f, err := a.file(n, before, 50)
	if err != nil {
		a.wrong("making a file: %v", err)
		return
	}
	a.written += uint64(n)
	a.files++
	ended := false
	a.loop.SendfileFunc(context.Background(), a.t, f, int64(before), int64(n),
		func(sent int64, err error) {
			f.Close()
			if a.filesEnd++; ended || a.lost {
				a.wrong("the end of a file told twice, or after ConnectionLost")
			}
			ended = true
			if (err == nil) != (sent == int64(n)) {
				a.wrong("%d of %d bytes of a file sent: %v", sent, n, err)
			}
			if err != nil {
				a.cutFiles = true
				if !a.t.IsClosing() {
					a.wrong("a file failed on an open transport: %v", err)
				}
			}
		})
}

// file makes one that has no name: junk, n bytes of the stream, junk.
func (a *actor) file(n, before, after int) (*os.File, error) {
	fd, err := unix.MemfdCreate("stream", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "stream")
	content := make([]byte, before+n+after)
	exacttest.Spoil(content)
	exacttest.Fill(content[before:before+n], a.fromLoop(), a.written)
	if _, err := f.Write(content); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (a *actor) pauseReading() {
	if a.kind == pipeWrite || a.t.IsClosing() || a.eof {
		return
	}
	a.note('p')
	a.t.PauseReading()
	a.readPaused = true
	a.loop.CallLater(time.Duration(a.rng.IntN(10))*time.Millisecond, func() {
		if a.silent || a.lost {
			return
		}
		if a.rng.IntN(2) == 0 {
			a.replace() // what was held back is for somebody else
		}
		a.resumeReading()
	})
}

func (a *actor) resumeReading() {
	if a.readPaused && !a.lost {
		a.note('r')
		a.readPaused = false
		a.t.ResumeReading()
	}
}

func (a *actor) setLimits() {
	a.note('m')
	high := pick(a.rng, 0, 1, 1000, 64<<10)
	err := a.t.SetWriteBufferLimits(transport.Limits{High: high, Low: high / 4})
	if err != nil {
		a.wrong("SetWriteBufferLimits: %v", err)
	}
}

// replace puts another face of the actor in the place of the one that it has.
func (a *actor) replace() {
	if a.t.Protocol() == nil {
		return
	}
	a.note('s')
	if err := a.t.SetProtocol(a.protocol()); err != nil {
		a.wrong("SetProtocol: %v", err)
	}
	if a.t.WritePaused() != a.paused {
		a.wrong("WritePaused is %v", !a.paused)
	}
}

func (a *actor) writeEOF() {
	if !a.writes() {
		return
	}
	a.note('E')
	a.eofWritten = true
	if a.kind == pipeWrite {
		a.closed, a.closedEarly = true, true
	}
	// The peer may be gone, which is told otherwise.
	if err := a.t.WriteEOF(); err != nil && !errors.Is(err, unix.ENOTCONN) &&
		!errors.Is(err, unix.EPIPE) {
		a.wrong("WriteEOF: %v", err)
	}
}

func (a *actor) close() {
	if a.t == nil || a.lost {
		return
	}
	a.note('C')
	if !a.t.IsClosing() {
		a.closed, a.closedEarly = true, a.closedEarly || !a.eof
	}
	a.t.Close()
	a.wantClosing("Close")
}

func (a *actor) abort() {
	if a.lost {
		return
	}
	a.note('A')
	buffered := a.t.WriteBufferSize()
	if buffered > 0 || a.files > a.filesEnd {
		a.dropped = true
	}
	a.abortedOpen = a.abortedOpen || !a.t.IsClosing()
	a.aborted = true
	a.t.Abort()
	a.wantClosing("Abort")
	if n := a.t.WriteBufferSize(); n != 0 {
		a.wrong("%d bytes buffered after Abort", n)
	}
	a.loop.CallSoon(func() {
		if !a.lost {
			a.wrong("ConnectionLost comes after what was scheduled behind Abort, which had "+
				"%d bytes and %d files to drop", buffered, a.files-a.filesEnd)
		}
	})
}

// wantClosing checks what is so at once.
func (a *actor) wantClosing(call string) {
	if a.lost {
		a.wrong("ConnectionLost inside %s", call)
	}
	if !a.t.IsClosing() {
		a.wrong("not closing after %s", call)
	}
}
