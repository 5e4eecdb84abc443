package page

import (
	"sync/atomic"

	"github.com/sluice-net/sluice/transport/flowpage"
)

// begin makes the slot one that is changing hands, and empties it. It returns the
// sequence number of that.
//
//	even: the slot is a transport's, or free --begin--> odd --settle--> even
func (s *Slot) begin() uint32 {
	seq := s.seq + 1
	atomic.StoreUint32(&s.seq, seq)
	s.kind, s.state, s.flags, s.held = 0, flowpage.StateFree, 0, 0
	s.bytesRead, s.bytesWritten, s.buffered, s.sending = 0, 0, 0, 0
	s.inFlight, s.sendingSince, s.heldBytes, s.writePaused = 0, 0, 0, 0
	s.readPaused, s.starved = 0, 0
	s.high, s.low, s.writePauses, s.readPauses, s.starves = 0, 0, 0, 0, 0
	s.writePausedSince, s.readPausedSince, s.starvedSince = 0, 0, 0
	return seq
}

// identify stores what the sequence number guards. The stores are atomic because
// on arm64 others could be seen before the one in begin.
func (s *Slot) identify(cookie uint64, fd int, created int64) {
	atomic.StoreUint64(&s.cookie, cookie)
	atomic.StoreInt32(&s.fd, int32(fd))
	atomic.StoreInt64(&s.created, created)
}

// settle ends what begin began.
func (s *Slot) settle(seq uint32) { atomic.StoreUint32(&s.seq, seq+1) }

// SetState publishes where the transport is in its life.
func (s *Slot) SetState(state flowpage.State) {
	if s != nil {
		s.state = state
	}
}

// SetLimits publishes the water marks in bytes.
func (s *Slot) SetLimits(high, low int) {
	if s != nil {
		s.high, s.low = saturated(high), saturated(low)
	}
}

// Read counts n bytes that were received.
func (s *Slot) Read(n int) {
	if s != nil {
		s.bytesRead += uint64(n)
	}
}

// Wrote counts n bytes that were accepted.
func (s *Slot) Wrote(n int) {
	if s != nil {
		s.bytesWritten += uint64(n)
	}
}

// SetBuffered publishes how many bytes were accepted that the kernel has not taken.
func (s *Slot) SetBuffered(size int) {
	if s != nil {
		s.buffered = uint64(size)
	}
}

// Sending says that the engine was given n bytes to send.
func (p *Page) Sending(s *Slot, n int) {
	if s != nil {
		s.inFlight = saturated(n)
		s.sendingSince = p.at.ms
		s.sending.start(p.at.ns)
	}
}

// Sent says that nothing is being sent any more.
func (p *Page) Sent(s *Slot) {
	if s != nil {
		s.inFlight = 0
		s.sending.stop(p.at.ns)
	}
}

// PauseWriting says that the protocol was told to pause.
func (p *Page) PauseWriting(s *Slot) {
	if s != nil && !s.writePaused.running() {
		s.writePauses++
		s.writePausedSince = p.at.ms
		s.writePaused.start(p.at.ns)
	}
}

// ResumeWriting says that the protocol may write again.
func (p *Page) ResumeWriting(s *Slot) {
	if s != nil {
		s.writePaused.stop(p.at.ns)
	}
}

// PauseReading says that reading was paused.
func (p *Page) PauseReading(s *Slot) {
	if s != nil && !s.readPaused.running() {
		s.readPauses++
		s.readPausedSince = p.at.ms
		s.readPaused.start(p.at.ns)
	}
}

// ResumeReading says that reading goes on.
func (p *Page) ResumeReading(s *Slot) {
	if s != nil {
		s.readPaused.stop(p.at.ns)
	}
}

// Starve says that there was no shared buffer to receive into.
func (p *Page) Starve(s *Slot) {
	if s != nil {
		s.starves++
		if !s.starved.running() {
			s.starvedSince = p.at.ms
			s.starved.start(p.at.ns)
		}
	}
}

// Feed says that the receive is tried again.
func (p *Page) Feed(s *Slot) {
	if s != nil {
		s.starved.stop(p.at.ns)
	}
}

// Hold publishes how many completions are held back, and their bytes.
func (s *Slot) Hold(count, size int) {
	if s != nil {
		s.held = uint8(min(count, 255))
		s.heldBytes = saturated(size)
	}
}

// EOFReceived says that the peer sends no more.
func (s *Slot) EOFReceived() {
	if s != nil {
		s.flags |= flagEOFReceived
	}
}

// EOFWritten says that WriteEOF was called.
func (s *Slot) EOFWritten() {
	if s != nil {
		s.flags |= flagEOFWritten
	}
}
