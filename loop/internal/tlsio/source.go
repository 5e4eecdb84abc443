package tlsio

import (
	"io"

	"github.com/sluice-net/sluice/transport"
)

// Source is output that is read block by block when its turn has come, such as a
// file. All its methods are called on the loop's goroutine, and none from inside a
// call to the transport.
type Source interface {
	// Read requests the next bytes, at most limit. done is called on the loop's
	// goroutine, never from inside Read: with io.EOF along with the last block or
	// after it, with another error along with what could still be read. The block
	// belongs to the transport until the next Read or Ended. After Ended, done is
	// no longer called, or has no effect.
	Read(limit int, done func(block []byte, err error))

	// Ended is called once, before ConnectionLost, with the number of bytes that
	// were encrypted and the reason if that was not all of them.
	Ended(sent int64, err error)
}

// blockMax is the maximum size of a block requested from a source.
const blockMax = 256 << 10

// sourcing is a source in the backlog.
//
//	queued --its turn--> reading --block--> sealing --none left--> reading
//	                     reading | sealing --the last block is encrypted--> over
//	any --CancelSource, or the transport is lost--> over
//
// While the transport below is paused, sealing stops. The next block is read as
// soon as none is left, so that reading and sending overlap.
type sourcing struct {
	phase sourcePhase
	from  Source
	took  func(block []byte, err error) // of Read
	block []byte                        // what is left of the current block
	sent  int64
	last  bool  // nothing follows the block
	err   error // why that is so
}

type sourcePhase uint8

const (
	sourceQueued sourcePhase = iota
	sourceReading
	sourceSealing
	sourceOver
)

// WriteSource queues a source behind what was written before. Of its bytes only
// those of the current block count as buffered. What is written meanwhile queues
// behind the source, and Close still sends all of it. Error: transport.ErrClosed.
func (t *Transport) WriteSource(from Source) error {
	t.host.Check()
	if t.IsClosing() {
		return transport.ErrClosed
	}
	s := &sourcing{from: from}
	s.took = func(block []byte, err error) { t.sourceRead(s, block, err) }
	t.backlog.chunks = append(t.backlog.chunks,
		chunk{source: s, release: func() { t.sourceEnded(s) }})
	t.schedule()
	return nil
}

// CancelSource ends a source with err if it has not ended yet. What was encrypted
// of it is sent; what was written after it continues.
func (t *Transport) CancelSource(from Source, err error) {
	for i := range t.backlog.chunks {
		c := &t.backlog.chunks[i]
		if c.source == nil || c.source.from != from || c.release == nil {
			continue
		}
		s := c.source
		s.err, s.last = err, true
		t.backlog.size -= len(s.block)
		s.block, s.phase = nil, sourceOver
		t.guard.Releases = append(t.guard.Releases, c.release)
		c.release = nil
		t.schedule()
	}
}

// On reports whether h is the host.
func (t *Transport) On(h Host) bool { return t.host == h }

// sourceEnded notifies the source, as a release does. If the transport was lost,
// something is left of the source.
func (t *Transport) sourceEnded(s *sourcing) {
	if s.phase != sourceOver {
		s.phase, s.block, s.err = sourceOver, nil, t.whyLost()
	}
	s.from.Ended(s.sent, s.err)
}

// whyLost returns why the transport did not send what it had accepted.
func (t *Transport) whyLost() error {
	if t.err != nil {
		return t.err
	}
	return transport.ErrClosed
}

// sourceRead handles a block.
func (t *Transport) sourceRead(s *sourcing, block []byte, err error) {
	if s.phase != sourceReading {
		return
	}
	s.phase, s.block = sourceSealing, block
	t.backlog.size += len(block)
	if err != nil {
		s.last = true
		if err != io.EOF {
			s.err = err
		}
	}
	t.drain()
	t.settle()
}

// sealSource encrypts what is at hand of the first chunk, which is a source. It
// reports whether the chunk after it may follow.
func (t *Transport) sealSource(s *sourcing) (over bool) {
	ends := t.raw.IsClosing() // its ConnectionLost will report that
	for len(s.block) > 0 && !t.rawPaused && !ends {
		n := t.seal(s.block[:min(len(s.block), recordMax)])
		if t.state >= lost {
			return false
		}
		s.block, s.sent = s.block[n:], s.sent+int64(n)
		t.backlog.size -= n
	}
	switch {
	case len(s.block) > 0 || s.phase == sourceReading || ends && !s.last:
		return false
	case !s.last:
		s.phase = sourceReading
		s.from.Read(t.blockSize(), s.took)
		return false
	}
	s.phase = sourceOver
	return true
}

// blockSize returns how much to read at once: if the marks are low, the block alone
// must not pause the protocol.
func (t *Transport) blockSize() int {
	return max(min(blockMax, t.flow.Limits().High/2), recordMax)
}

// drainOne encrypts as much of the first chunk as the transport below accepts. It
// reports whether the next may follow.
func (t *Transport) drainOne() bool {
	c := &t.backlog.chunks[0]
	if c.source != nil {
		if over := t.sealSource(c.source); !over {
			return false
		}
		t.guard.Releases = t.backlog.pop(t.host, t.guard.Releases)
		return true
	}
	if t.rawPaused {
		return false
	}
	n := t.seal(c.buf)
	if t.state < lost {
		t.guard.Releases = t.backlog.took(n, t.host, t.guard.Releases)
	}
	return t.state < lost
}

// awaitsSource reports whether the output waits for a block, whose arrival will
// resume it.
func (t *Transport) awaitsSource() bool {
	c := t.backlog.chunks
	return len(c) > 0 && c[0].source != nil && c[0].source.phase == sourceReading
}
