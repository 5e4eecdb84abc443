package relay

import (
	"errors"
	"math"
	"sync/atomic"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/tlsio"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// side is the protocol of one of the two transports. What it receives, it writes to the
// other one, unless a Splice moves it there.
type side struct {
	relay    *Relay
	t        transport.Transport
	other    *side
	splice   *fdio.Splice  // moves what t receives; nil: it is always copied
	received int64         // bytes, from t
	passed   int64         // of those
	count    *atomic.Int64 // the same of all relays that have this counter
	eof      bool          // t has received the end
	lost     bool
}

var (
	_ protocol.Protocol = (*side)(nil)
	_ fdio.SpliceOwner  = (*side)(nil)
)

// Is reports whether p is a relay's: its transport is being relayed.
func Is(p transport.BaseProtocol) bool {
	_, is := p.(*side)
	return is
}

// prepare sets up what the transport holds.
func (s *side) prepare() {
	uncap(s.t)
	most := s.relay.config.Most
	if most > 0 {
		_ = s.t.SetWriteBufferLimits(marks(most)) // 0 <= Low <= High holds
		limitReads(s.t, marks(most))
	}
	from, plain := stream(s.t)
	to, too := stream(s.other.t)
	if plain && too {
		if most == 0 {
			most = math.MaxInt
		}
		s.splice = fdio.NewSplice(s, from, to, most)
	}
}

// receiveMax is what one receive brings, as a rule: the size of a receive buffer.
const receiveMax = 64 << 10

// marks returns water marks such that a receive beyond the high one is within most, if
// most is more than that.
func marks(most int) transport.Limits {
	high := max(most-receiveMax, 0)
	return transport.Limits{High: high, Low: high / 4}
}

// start begins to receive, unless the other transport takes no more for now. A transport
// that has received its end before will not say so again.
func (s *side) start() {
	if s.lost || s.t.IsClosing() {
		return
	}
	s.t.ResumeReading()
	ended := !s.t.IsReading() && !s.t.IsClosing()
	if s.other.t.WritePaused() {
		s.t.PauseReading()
	}
	if ended && !s.EOFReceived() {
		s.t.Close()
	}
}

// ConnectionMade implements transport.BaseProtocol. The transports are made already.
func (s *side) ConnectionMade(transport.Transport) {}

// DataReceived implements protocol.Protocol.
func (s *side) DataReceived(data []byte) {
	if !s.Received(len(data)) {
		return
	}
	if _, err := s.other.t.Write(data); err != nil {
		s.refused(err)
		return
	}
	s.Passed(len(data))
	if s.splice != nil {
		s.splice.Copied(len(data))
	}
}

// refused handles a transport that takes no more. If it is closing, it is about to be
// lost, which says how.
func (s *side) refused(err error) {
	if s.other.lost || s.other.t.IsClosing() {
		s.t.PauseReading()
		return
	}
	s.relay.Stop(err)
}

// Room implements fdio.SpliceOwner.
func (s *side) Room() int64 {
	if s.relay.config.Limit == 0 {
		return math.MaxInt64
	}
	return s.relay.config.Limit - s.received + 1 // one more shows that there are more
}

// Received implements fdio.SpliceOwner.
func (s *side) Received(n int) bool {
	limit := s.relay.config.Limit
	if s.relay.failed {
		return false
	}
	s.received += int64(n)
	if limit > 0 && s.received > limit {
		s.relay.Stop(s.relay.config.LimitErr)
		return false
	}
	return true
}

// Passed implements fdio.SpliceOwner.
func (s *side) Passed(n int) {
	s.passed += int64(n)
	s.count.Add(int64(n))
}

// PauseWriting implements transport.BaseProtocol: t takes less than the other one sends.
func (s *side) PauseWriting() {
	if !s.other.lost {
		s.other.t.PauseReading()
	}
}

// ResumeWriting implements transport.BaseProtocol.
func (s *side) ResumeWriting() {
	if !s.other.lost {
		s.other.t.ResumeReading()
	}
}

// EOFReceived implements protocol.Protocol: it passes the end of one direction on. Where
// there is no half-close, that is the end of both.
func (s *side) EOFReceived() (keepOpen bool) {
	s.eof = true
	r := s.relay
	if r.failed || r.over {
		return false
	}
	if s.other.eof || !s.t.CanWriteEOF() || !s.other.t.CanWriteEOF() {
		r.close()
		return false
	}
	err := s.other.t.WriteEOF()
	if errors.Is(err, transport.ErrEOFWritten) {
		r.Stop(err)
		return false
	}
	return true // another error is one of the connection, which it reports itself
}

// ConnectionLost implements transport.BaseProtocol.
func (s *side) ConnectionLost(err error) { s.relay.lost(s, err) }

// finish closes the transport in order, if it is not lost.
func (s *side) finish() {
	if !s.lost {
		s.t.Close()
	}
}

// reset ends a transport such that its peer does not take the interruption for the end.
func reset(t transport.Transport) {
	resetOnClose(t)
	t.Abort()
}

// resetOnClose makes the end of a transport a reset. It is called until ConnectionLost has
// returned.
func resetOnClose(t transport.Transport) {
	if s := bottom(t); s != nil {
		s.ResetOnClose()
	}
}

// bottom returns the stream at the bottom of t, or nil if it is not ours.
func bottom(t transport.Transport) *fdio.Stream {
	for {
		over, ok := t.(*tlsio.Transport)
		if !ok {
			break
		}
		t = over.Underlying()
	}
	s, _ := t.(*fdio.Stream)
	return s
}

// limitReads makes t hold no more input than limits while it is paused: a TLS transport reads
// ahead of its protocol.
func limitReads(t transport.Transport, limits transport.Limits) {
	over, ok := t.(*tlsio.Transport)
	if ok && limits.High < over.ReadBufferLimits().High {
		_ = over.SetReadBufferLimits(limits) // 0 <= Low <= High holds
	}
}

// uncap removes the cap on what t buffers: a relay pauses instead.
func uncap(t transport.Transport) {
	switch t := t.(type) {
	case *fdio.Stream:
		t.Uncap()
	case *tlsio.Transport:
		t.Uncap()
	}
}
