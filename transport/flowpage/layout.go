package flowpage

import (
	"time"
	"unsafe"
)

// The format.
const (
	// name is that of the memfd: its link in /proc/PID/fd reads "/memfd:sluice-flow
	// (deleted)".
	name = "sluice-flow"

	// version is incremented with every change of the layout or of the meaning of a
	// word. A reader refuses any other.
	version = 1

	// slotsMax bounds the address space that a page takes, 32 MiB; memory is used only
	// as slots are.
	slotsMax = 1 << 18

	magic      = 0x6c66656369756c73 // "sluicefl" in memory, on a little-endian machine
	headerSize = 4096
	slotSize   = 128
	slotWords  = slotSize / 8
)

// Kind is what a transport runs over.
type Kind uint8

// The kinds.
const (
	KindTCP      Kind = 1 + iota
	KindUnix          // a Unix stream
	KindUDP           // datagrams over IP
	KindUnixgram      // Unix datagrams
	KindPipe          // a pipe or another file that is not a socket
	kindEnd
)

var kindNames = [...]string{"?", "tcp", "unix", "udp", "unixgram", "pipe"}

// String returns "tcp", "unix", "udp", "unixgram" or "pipe".
func (k Kind) String() string { return nameOf(kindNames[:], uint32(k)) }

// State is the stage of a transport's life.
type State uint8

// The states.
const (
	StateFree    State = iota // the slot is free
	StateMade                 // before ConnectionMade
	StateOpen                 // receives and writes
	StateClosing              // receives nothing; its output drains
	StateLost                 // output is dropped; ConnectionLost is due
	stateEnd
)

var stateNames = [...]string{"free", "made", "open", "closing", "lost"}

// String returns the state's name.
func (s State) String() string { return nameOf(stateNames[:], uint32(s)) }

// The engines, which carry out a loop's operations.
const (
	engineUring = 1
	engineEpoll = 2
	engineSim   = 3 // times are those of the simulation
)

var engineNames = [...]string{"?", engineUring: "io_uring", engineEpoll: "epoll",
	engineSim: "sim"}

// nameOf returns the name of i, which somebody else has written.
func nameOf(names []string, i uint32) string {
	if i >= uint32(len(names)) {
		return names[0]
	}
	return names[i]
}

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

// slot is where a transport publishes its state.
//
// The first cache line is what changes with every message.
type slot struct {
	seq   uint32 // odd while the slot changes hands
	kind  Kind
	state State
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
	_ [slotSize]byte = [unsafe.Sizeof(slot{})]byte{}
	_ [64]byte       = [unsafe.Offsetof(slot{}.cookie)]byte{}
	_ [64]byte       = [unsafe.Offsetof(header{}.turns)]byte{}
	_ [128]byte      = [unsafe.Sizeof(header{})]byte{}
)

// span is a time that adds up, in one word, so that it is read whole: twice the
// sum, or, while it runs, twice the sum less the time of its start, plus one.
//
//	stopped --start--> running --stop--> stopped
type span int64

func (s span) running() bool { return s&1 != 0 }

// total is the sum until now, between 0 and atMost.
func (s span) total(now, atMost int64) time.Duration {
	sum := int64(s >> 1)
	if s.running() {
		sum += now
	}
	return time.Duration(min(max(sum, 0), max(atMost, 0)))
}
