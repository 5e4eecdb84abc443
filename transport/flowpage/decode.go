package flowpage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
	"unsafe"
)

var (
	// ErrNoPage is wrapped by the errors of Open and Find if a descriptor is not
	// that of a flow page, or if a process has no page: it does not use sluice, or
	// its loops were made without loop.Options.FlowPage.
	ErrNoPage = errors.New("flowpage: not a flow page")

	// ErrVersion is wrapped if a page has another version of the format.
	ErrVersion = errors.New("flowpage: unknown version of the format")
)

// Header is what a page says about its loop.
type Header struct {
	PID, TID  int           // in the process's own namespace; TID 0: the loop has not run yet
	Loop      int           // number of the loop in its process, from 1
	Engine    string        // that carries out its operations: io_uring, epoll or sim
	RingFD    int           // io_uring's descriptor, -1: none
	Made      time.Duration // when, on CLOCK_MONOTONIC
	Closed    bool          // the loop is closed, and nothing changes any more
	SlotCount int           // number of slots ever used
	Used      int           // of those, the number that transports occupy
	Unlisted  uint64        // transports that got no slot: the page was full
	Turns     uint64        // rounds
	Now       time.Duration // when the page was read, by the page's clock

	// Busy is the time during which the loop worked, and Waiting that during which
	// it was in a system call that may sleep. With io_uring that call also carries
	// out sends, so the thread's CPU time (TID) tells more if that matters. Neither
	// runs before the loop does or after it has stopped.
	Busy, Waiting Span

	// TurnAge is how long ago the loop last began to work. If Busy is running and
	// TurnAge is long, a callback is holding up the loop.
	TurnAge time.Duration
}

// Transport is what a slot says about its transport.
type Transport struct {
	Slot       int    // its number
	Generation uint32 // changes when the slot changes hands
	Kind       Kind
	State      State
	FD         int           // in its process
	Cookie     uint64        // SO_COOKIE of a socket, as ss -e prints it; otherwise the inode
	Created    time.Duration // when, on CLOCK_MONOTONIC

	BytesRead    uint64 // received, including those held back
	BytesWritten uint64 // accepted
	Buffered     int    // bytes accepted that the kernel has not taken; see High
	High, Low    int    // the water marks, at most 4 GiB
	InFlight     int    // bytes that the engine is sending; at most 4 GiB
	Held         int    // completions held back while reading is paused, at most 255
	HeldBytes    int    // and their bytes

	EOFReceived bool // the peer will send no more
	EOFWritten  bool // WriteEOF was called

	Sending     Span // something is in flight
	WritePaused Span // from PauseWriting to ResumeWriting
	ReadPaused  Span // from PauseReading to ResumeReading
	Starved     Span // it could not receive for lack of a shared buffer

	WritePauses uint32 // how often
	ReadPauses  uint32 // how often
	Starves     uint32 // how often
}

// Span is an accumulated time. Running reports whether it is running now, and For
// for how long it has been, with a resolution of a millisecond. Total includes For.
type Span struct {
	Total   time.Duration
	Running bool
	For     time.Duration
}

// headerBytes is the number of bytes of a header that are decoded.
const headerBytes = int(unsafe.Sizeof(header{}))

// decodeHeader checks and decodes the header of a page. now is the time of
// CLOCK_MONOTONIC; for a simulation it is replaced by the time last published.
func decodeHeader(raw []byte, now int64) (Header, error) {
	if len(raw) < headerBytes || binary.NativeEndian.Uint64(raw) != magic {
		return Header{}, ErrNoPage
	}
	var h header
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&h)), headerBytes), raw)
	switch {
	case h.version != version:
		return Header{}, fmt.Errorf("%w: %d, not %d", ErrVersion, h.version, version)
	case h.headerSize != headerSize, h.slotSize != slotSize, h.slotCount > slotsMax:
		return Header{}, fmt.Errorf("%w: header of %d bytes, %d slots of %d bytes",
			ErrNoPage, h.headerSize, h.slotCount, h.slotSize)
	}
	if h.engine == engineSim || now < h.at {
		now = h.at
	}
	age := now - h.made
	return Header{PID: int(h.pid), TID: int(h.tid), Loop: int(h.loop),
		Engine: nameOf(engineNames[:], h.engine), RingFD: int(h.ringFD),
		Made: time.Duration(h.made), Closed: h.closed != 0, SlotCount: int(h.slotCount),
		Used: int(min(h.used, uint64(h.slotCount))), Unlisted: h.unlisted, Turns: h.turns,
		Now:  time.Duration(now),
		Busy: h.busy.decode(now, age, h.turnAt), Waiting: h.waiting.decode(now, age, h.turnAt),
		TurnAge: time.Duration(min(max(now-h.turnAt, 0), max(age, 0)))}, nil
}

// decode returns the span as of the time now. since is when it began to run, if it
// is running, and atMost bounds the results.
func (s span) decode(now, atMost, since int64) Span {
	out := Span{Total: s.total(now, atMost), Running: s.running()}
	if out.Running {
		out.For = min(time.Duration(max(now-since, 0)), out.Total)
	}
	return out
}

// words is a slot as it was copied.
type words [slotWords]uint64

// decodeSlot decodes a slot of the page with the header h. It reports whether the
// slot holds a transport of a known kind and state.
func decodeSlot(w *words, index int, h Header) (Transport, bool) {
	s := *(*slot)(unsafe.Pointer(w))
	if s.kind == 0 || s.kind >= kindEnd || s.state == StateFree || s.state >= stateEnd {
		return Transport{}, false
	}
	now, made := int64(h.Now), int64(h.Made)
	age := now - s.created
	since := func(ms uint32) int64 {
		elapsed := uint32((now-made)/int64(time.Millisecond)) - ms // it wraps around
		return now - int64(elapsed)*int64(time.Millisecond)
	}
	return Transport{Slot: index, Generation: s.seq / 2, Kind: s.kind, State: s.state,
		FD: int(s.fd), Cookie: s.cookie, Created: time.Duration(s.created),
		BytesRead: s.bytesRead, BytesWritten: s.bytesWritten,
		Buffered: int(min(s.buffered, maxInt)), High: int(min(uint64(s.high), maxInt)),
		Low: int(min(uint64(s.low), maxInt)), InFlight: int(min(uint64(s.inFlight), maxInt)),
		Held: int(s.held), HeldBytes: int(min(uint64(s.heldBytes), maxInt)),
		EOFReceived: s.flags&flagEOFReceived != 0, EOFWritten: s.flags&flagEOFWritten != 0,
		Sending:     s.sending.decode(now, age, since(s.sendingSince)),
		WritePaused: s.writePaused.decode(now, age, since(s.writePausedSince)),
		ReadPaused:  s.readPaused.decode(now, age, since(s.readPausedSince)),
		Starved:     s.starved.decode(now, age, since(s.starvedSince)),
		WritePauses: s.writePauses, ReadPauses: s.readPauses, Starves: s.starves}, true
}

const maxInt = uint64(^uint(0) >> 1)
