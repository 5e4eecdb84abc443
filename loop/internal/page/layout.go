package page

import (
	"unsafe"

	"github.com/sluice-net/sluice/transport/flowpage"
)

// What package flowpage reads is written here, in a layout that a test compares with
// the reader's. Whoever changes it raises the version.

// The format, which the reader's comments explain.
const (
	name     = "sluice-flow"
	version  = 1
	slotsMax = 1 << 18

	magic      = 0x6c66656369756c73 // "sluicefl" in memory, on a little-endian machine
	headerSize = 4096
	slotSize   = 128

	// chunkSlots is by how many slots a page grows: 64 KiB.
	chunkSlots = 512
)

// The engines, which carry out a loop's operations.
const (
	EngineUring = 1
	EngineEpoll = 2
	EngineSim   = 3 // times are those of the simulation
)

// header is the first part of a page. The first cache line is written when the
// page is made, the second one in every round.
type header struct {
	magic      uint64
	version    uint32
	headerSize uint32
	slotSize   uint32
	slotCount  uint32 // that were ever used; the file has room for more
	pid, tid   uint32 // as the process sees itself; tid 0: the loop did not run yet
	loop       uint32 // number of the loop in its process, from 1
	engine     uint32
	ringFD     int32 // -1: none
	closed     uint32
	made       int64 // when, on CLOCK_MONOTONIC
	unlisted   uint64

	turns   uint64
	at      int64 // the loop's last look at its clock
	turnAt  int64 // when the loop last began to work
	busy    span  // runs while the loop works
	waiting span  // runs while the loop is in a call that may sleep
	used    uint64
	_       [16]byte
}

// Slot is where a transport publishes its state. It is the memory of the page
// itself; its methods belong to the loop's goroutine, allocate nothing, and do
// nothing to a nil Slot. It must not be used after Page.Remove or Page.Close.
//
// The first cache line is what changes with every message.
type Slot struct {
	seq   uint32 // odd while the slot changes hands
	kind  flowpage.Kind
	state flowpage.State
	flags uint8
	held  uint8 // completions held back, at most 255

	bytesRead    uint64
	bytesWritten uint64
	buffered     uint64
	sending      span
	inFlight     uint32 // bytes
	sendingSince uint32 // this and the others like it: ms since the page was made
	heldBytes    uint32
	fd           int32
	writePaused  span

	cookie           uint64
	created          int64
	readPaused       span
	starved          span
	high, low        uint32
	writePauses      uint32
	readPauses       uint32
	starves          uint32
	writePausedSince uint32
	readPausedSince  uint32
	starvedSince     uint32
}

// Flags of a slot.
const (
	flagEOFReceived = 1 << iota
	flagEOFWritten
)

// The layout is what the constants say, or this does not compile.
var (
	_ [slotSize]byte = [unsafe.Sizeof(Slot{})]byte{}
	_ [64]byte       = [unsafe.Offsetof(Slot{}.cookie)]byte{}
	_ [64]byte       = [unsafe.Offsetof(header{}.turns)]byte{}
	_ [128]byte      = [unsafe.Sizeof(header{})]byte{}
)

// span is a time that adds up, in one word, so that it is read whole: twice the
// sum, or, while it runs, twice the sum less the time of its start, plus one.
//
//	stopped --start--> running --stop--> stopped
type span int64

func (s *span) start(now int64) {
	if *s&1 == 0 {
		*s += 1 - span(2*now)
	}
}

func (s *span) stop(now int64) {
	if *s&1 != 0 {
		*s += span(2*now) - 1
	}
}

func (s span) running() bool { return s&1 != 0 }

// saturated is n as 32 bits, at most their largest value.
func saturated(n int) uint32 { return uint32(min(max(int64(n), 0), 1<<32-1)) }
