package transporttest

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// Link is a connection made by Connect, and the means to drive its loop.
type Link struct {
	// Do runs f on the loop's goroutine and waits for it to return.
	Do func(f func())

	// Wait waits until cond is true, evaluating it repeatedly on the loop's
	// goroutine, and fails the test if that does not happen.
	Wait func(what string, cond func() bool)

	// Pass lets d pass on the loop's clock.
	Pass func(d time.Duration)

	// Expect announces that the loop will report an exception whose message
	// contains part. Reports that were not announced should fail the test.
	Expect func(part string)

	// Reports returns what the loop has reported to its exception handler.
	Reports func() []Report

	// Reset breaks the connection from the peer's end, as if the peer had died. It
	// is nil if that is not possible: the cases that need it are then skipped.
	Reset func()

	// Limits are the initial water marks of the transports under test; the zero
	// Limits stand for transport.DefaultLimits.
	Limits transport.Limits

	// MessageMax is the maximum message length of transports that preserve message
	// boundaries: the kit splits longer writes into several calls. 0 means that a
	// call may have any length.
	MessageMax int
}

// Report is what an exception handler receives.
type Report struct {
	Message   string                  // what went wrong, in asyncio's words if it has any
	Err       error                   // the cause; of a panic a *protocol.PanicError
	Transport transport.BaseTransport // the transport concerned, or nil
	Protocol  transport.BaseProtocol  // its protocol, or nil
}

// Connect connects p, on the transport under test, with peer, on a transport that
// plays the peer, both on one loop. It is called on the test's goroutine and
// returns after ConnectionMade of both has been called. Anything else that it needs
// is torn down in a cleanup of t; the kit itself ends the connection.
type Connect func(t *testing.T, p, peer protocol.Protocol) *Link

// Except names a statement of the contract (docs/contract.md in this module's
// repository) that a transport does not show, and why. Its case is skipped with the
// message "needs " followed by Why.
type Except struct {
	Number int    // of the statement in docs/contract.md, 1 to 463
	Why    string // what the transport would need for it, "half-close" say
}

// TestTransport runs the conformance kit: one subtest for each statement in
// sections A to E of the contract (docs/contract.md) that a stream transport shows,
// named by the statement's number: S008_… shows statement 8. To except a case that
// shows two statements, give the first. Each subtest makes a new connection.
func TestTransport(t *testing.T, connect Connect, except ...Except) {
	for _, cases := range [][]kitCase{
		lifecycleCases, identityCases, readingCases, readErrorCases, writingCases,
		writeEndCases, flowCases, flowCallbackCases, callbackCases, bufferedCases,
	} {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				for _, e := range except {
					if fmt.Sprintf("S%03d", e.Number) == c.name[:4] {
						t.Skip("needs " + e.Why)
					}
				}
				k := &kit{T: t, open: connect, rec: NewRecorder(t), peer: NewRecorder(t)}
				c.run(k)
				k.finish()
			})
		}
	}
}

// kitCase is the case for one statement.
type kitCase struct {
	name string
	run  func(k *kit)
}

// errPlanned is the value that the kit's protocols panic with.
var errPlanned = errors.New("planned")

// kit is one running case.
type kit struct {
	*testing.T
	open      Connect
	link      *Link
	rec, peer *Recorder
	written   int // bytes of the pattern that the transport under test accepted
}

// connect makes the connection, with the recorders as they are.
func (k *kit) connect() { k.connectAs(k.rec) }

// connectBuffered makes it with a buffered recorder.
func (k *kit) connectBuffered(size int) { k.connectAs(k.rec.Buffered(size)) }

func (k *kit) connectAs(p protocol.Protocol) {
	k.Helper()
	k.link = k.open(k.T, p, k.peer)
	if k.tr() == nil || k.peer.Transport() == nil {
		k.Fatal("connect returned before ConnectionMade of both ends")
	}
}

// tr returns the transport under test, pt its peer's.
func (k *kit) tr() transport.Transport { return k.rec.Transport() }
func (k *kit) pt() transport.Transport { return k.peer.Transport() }

func (k *kit) do(f func()) { k.link.Do(f) }

func (k *kit) wait(what string, cond func() bool) {
	k.Helper()
	came := false
	defer func() {
		if !came {
			k.describe()
		}
	}()
	k.link.Wait(what, cond)
	came = true
}

// describe logs the state of both ends.
func (k *kit) describe() {
	for _, r := range []*Recorder{k.rec, k.peer} {
		events := r.Trace()
		if len(events) > 500 {
			events = "… " + events[len(events)-500:]
		}
		t := r.Transport()
		k.Logf("%v: received %d, reading %v, buffered %d, write paused %v: %s", t,
			r.Received(), t.IsReading(), t.WriteBufferSize(), t.WritePaused(), events)
	}
}

// quiet allows time for things that must not happen.
func (k *kit) quiet() { k.link.Pass(20 * time.Millisecond) }

// finish ends whatever is left of the connection.
func (k *kit) finish() {
	if k.link == nil {
		return
	}
	k.do(func() {
		k.tr().Abort()
		k.pt().Abort()
	})
	for _, t := range []transport.Transport{k.tr(), k.pt()} {
		k.wait("ConnectionLost at the end", func() bool { return t.Protocol() == nil })
	}
}

// send makes the peer send a string.
func (k *kit) send(s string) { k.do(func() { k.mustWrite(k.pt(), []byte(s)) }) }

// messageMax returns the link's MessageMax, or 0 before the connection is made.
func (k *kit) messageMax() int {
	if k.link == nil {
		return 0
	}
	return k.link.MessageMax
}

// piece returns n, or the most that one message holds if that is less.
func (k *kit) piece(n int) int {
	if most := k.messageMax(); most > 0 {
		return min(n, most)
	}
	return n
}

func (k *kit) mustWrite(t transport.Transport, p []byte) {
	for most := k.messageMax(); most > 0 && len(p) > most; p = p[most:] {
		k.mustWrite(t, p[:most])
	}
	if n, err := t.Write(p); err != nil || n != len(p) {
		k.Errorf("Write of %d bytes: %d, %v", len(p), n, err)
	}
}

// write makes the transport under test write n more bytes of the pattern. It must
// be called on the loop's goroutine.
func (k *kit) write(n int) {
	k.mustWrite(k.tr(), pattern(k.written, n))
	k.written += n
}

// waitTrace waits until the trace equals want.
func (k *kit) waitTrace(want string) {
	k.Helper()
	defer func() {
		if got := k.rec.Trace(); got != want {
			k.Errorf("trace:\n got %s\nwant %s", got, want)
		}
	}()
	k.wait(want, func() bool { return k.rec.Trace() == want })
}

// waitLost waits for ConnectionLost and returns its error.
func (k *kit) waitLost() error {
	k.Helper()
	k.wait("ConnectionLost", func() bool { lost, _ := k.rec.Lost(); return lost })
	_, err := k.rec.Lost()
	return err
}

// waitLostNil waits for ConnectionLost(nil).
func (k *kit) waitLostNil() {
	k.Helper()
	if err := k.waitLost(); err != nil {
		k.Errorf("ConnectionLost(%v), want nil", err)
	}
}

// waitPeerGot waits until the peer has received everything that was written, and
// compares it.
func (k *kit) waitPeerGot() {
	k.Helper()
	k.wait("the peer to receive all", func() bool { return k.peer.Received() >= k.written })
	if !bytes.Equal(k.peer.Data(), pattern(0, k.written)) {
		k.Errorf("the peer received %d bytes that are not the %d written",
			k.peer.Received(), k.written)
	}
}

// waitPeerEnd waits until the peer's side has ended as well, without an error.
func (k *kit) waitPeerEnd() {
	k.Helper()
	k.wait("the peer's ConnectionLost", func() bool { lost, _ := k.peer.Lost(); return lost })
	if _, err := k.peer.Lost(); err != nil {
		k.Errorf("the peer's ConnectionLost(%v), want nil", err)
	}
}

// writeUntilPaused writes until the kernel takes no more for now. It must be called
// on the loop's goroutine.
func (k *kit) writeUntilPaused() {
	for !k.tr().WritePaused() && k.written < clogMax {
		k.write(32 << 10)
	}
}

// clogMax is more than any pair of socket buffers holds.
const clogMax = 64 << 20

// clogMore is more than a kernel finds room for that has taken no more for a while. An
// acknowledgement that was late on a busy machine makes room, for instance.
const clogMore = 512 << 10

// clog makes the peer stop reading and writes until the kernel takes no more, and then so
// much that the protocol stays paused and output is left, whatever the kernel takes after
// all.
func (k *kit) clog() {
	k.Helper()
	k.do(func() { k.pt().PauseReading() })
	for steady := 0; steady < 3; {
		size := 0
		k.do(func() {
			k.writeUntilPaused()
			size = k.tr().WriteBufferSize()
		})
		if k.written >= clogMax {
			k.Fatal("the transport takes everything although the peer does not read")
		}
		k.link.Pass(2 * time.Millisecond)
		k.do(func() {
			if k.tr().WritePaused() && k.tr().WriteBufferSize() == size {
				steady++
			} else {
				steady = 0
			}
			if steady == 3 {
				k.write(clogMore)
			}
		})
	}
}

// unclog makes the peer read again.
func (k *kit) unclog() { k.do(func() { k.pt().ResumeReading() }) }

// margin sets the high mark of a clogged transport to n bytes more than what is
// buffered, which becomes the low mark, and waits until writing is resumed.
func (k *kit) margin(n int) {
	k.Helper()
	k.do(func() { k.setMargin(n) })
	k.wait("ResumeWriting", func() bool { return !k.tr().WritePaused() })
}

// setMargin does the part of margin that runs on the loop's goroutine.
func (k *kit) setMargin(n int) {
	size := k.tr().WriteBufferSize()
	if err := k.tr().SetWriteBufferLimits(transport.Limits{High: size + n, Low: size}); err != nil {
		k.Error(err)
	}
}

// lacks ends the connection and skips the case.
func (k *kit) lacks(what string) {
	k.finish()
	k.link = nil
	k.Skip("needs " + what)
}

// needsReset skips the case if the peer cannot reset.
func (k *kit) needsReset() {
	if k.link.Reset == nil {
		k.lacks("a peer that can reset the connection")
	}
}

// needsHalfClose skips the case if a stream cannot end in one direction alone.
func (k *kit) needsHalfClose() {
	if !k.tr().CanWriteEOF() {
		k.lacks("half-close")
	}
}

// endInput makes the peer end its output, by half-close if that is supported.
func (k *kit) endInput() {
	if k.pt().CanWriteEOF() {
		k.pt().WriteEOF()
	} else {
		k.pt().Close()
	}
}

// limits returns the initial water marks of the transport under test.
func (k *kit) limits() transport.Limits {
	if k.link.Limits == (transport.Limits{}) {
		return transport.DefaultLimits
	}
	return k.link.Limits
}

// reported returns the error of the report with that message, which must name the
// transport under test.
func (k *kit) reported(message string) error {
	k.Helper()
	for _, r := range k.link.Reports() {
		if r.Message == message && r.Transport == transport.BaseTransport(k.tr()) {
			return r.Err
		}
	}
	k.Errorf("no report %q of this transport in %v", message, k.link.Reports())
	return nil
}

// pattern returns n bytes of an endless sequence, starting at offset.
func pattern(offset, n int) []byte {
	period := onePeriod()
	b := make([]byte, n)
	for filled := 0; filled < n; {
		filled += copy(b[filled:], period[(offset+filled)%len(period):])
	}
	return b
}

// onePeriod returns the bytes that pattern repeats. They are computed once, because
// a loop over megabytes is slow under the race detector, and their number is prime,
// so that no buffer that is lost or sent twice goes unnoticed.
var onePeriod = sync.OnceValue(func() []byte {
	b := make([]byte, 65521)
	for i := range b {
		at := uint32(i)
		b[i] = byte(at*167>>3 ^ at>>11)
	}
	return b
})
