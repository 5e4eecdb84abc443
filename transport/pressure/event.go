package pressure

import (
	"net/netip"
	"time"
)

// An Event is a rare event in the kernel. It is plain data.
type Event struct {
	// Time is when it happened, by CLOCK_MONOTONIC.
	Time time.Duration `json:"time"`
	// Kind is what happened.
	Kind EventKind `json:"kind"`
	// Cookie is the socket's SO_COOKIE, or 0 if the event is not about a socket or
	// the socket is not known yet.
	Cookie uint64 `json:"cookie,omitempty"`
	// Ring is the Ring.ID, or 0 if the event is not about a ring.
	Ring uint64 `json:"ring,omitempty"`
	// Local and Remote are the addresses of the socket, for TCP and UDP.
	Local  netip.AddrPort `json:"local,omitzero"`
	Remote netip.AddrPort `json:"remote,omitzero"`
	// Op is the io_uring opcode, if there is one.
	Op uint8 `json:"op,omitempty"`
	// Value and Limit depend on Kind.
	Value int64 `json:"value,omitempty"`
	Limit int64 `json:"limit,omitempty"`
}

// EventKind is the kind of an Event.
type EventKind uint8

// The kinds of events, each with the level that it needs.
const (
	// EventState: a connection changed its state (LevelEdges). Value is the new
	// state, Limit the old one, with the numbers of the kernel's tcp_states.h.
	EventState EventKind = iota
	// EventQueueFull: a segment or datagram was refused because the receive buffer
	// was full (LevelEdges). Value is sk_rmem_alloc, Limit sk_rcvbuf.
	EventQueueFull
	// EventMemoryLimit: the protocol's memory is at its limit (LevelEdges). Value
	// is the number of pages allocated.
	EventMemoryLimit
	// EventUDPDrop: a datagram was dropped (LevelEdges). Value is sk_rmem_alloc,
	// Limit sk_rcvbuf.
	EventUDPDrop
	// EventRetransmit: a segment was retransmitted (LevelEdges).
	EventRetransmit
	// EventResetIn: the peer reset the connection (LevelEdges).
	EventResetIn
	// EventResetOut: a reset was sent (LevelEdges).
	EventResetOut
	// EventDrop: a segment for this socket was dropped (LevelEdges, seen on Linux
	// 6.12 and 6.18). Value is the skb_drop_reason.
	EventDrop
	// EventPunt: a request was handed to a worker thread (LevelEdges).
	EventPunt
	// EventShortWrite: a write took less than it was given (LevelEdges). Value is
	// the number of bytes it took, Limit the number it was given.
	EventShortWrite
	// EventCQOverflow: a completion found the CQ full (LevelEdges). Value is the
	// completion's result.
	EventCQOverflow
	// EventNoBuffers: a receive ended with ENOBUFS because its buffer ring was
	// empty (LevelEdges).
	EventNoBuffers
	// EventArmWrite: a request waits for the socket to become writable (LevelEdges).
	EventArmWrite
	// EventArmRead: a request waits for the socket to become readable (LevelEdges).
	// These are ordinary and only counted, not sent.
	EventArmRead
	// EventPeerClosed: the peer closed its window (LevelFlow).
	EventPeerClosed
	// EventPeerOpened: the peer opened its window again (LevelFlow). Value is how
	// long it was closed, in nanoseconds.
	EventPeerOpened
	// EventSendBlocked: a send was answered with EAGAIN (LevelFlow).
	EventSendBlocked
	// EventOwnClosed: we offered a window of 0 (LevelFuncs).
	EventOwnClosed

	eventKinds
)

var eventNames = []string{
	"state", "queue-full", "memory-limit", "udp-drop", "retransmit", "reset-in", "reset-out",
	"drop", "punt", "short-write", "cq-overflow", "no-buffers", "arm-write",
	"arm-read", "peer-window-closed", "peer-window-opened", "send-blocked", "own-window-closed",
}

// String returns the kind's name, such as "udp-drop".
func (k EventKind) String() string { return nameOf(eventNames, k) }

// MarshalText encodes k as its String.
func (k EventKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText decodes what String returns.
func (k *EventKind) UnmarshalText(text []byte) error {
	return parseName(eventNames, "event", text, k)
}

// Counts maps each kind of event to its number; a kind that never happened is
// absent.
type Counts map[EventKind]uint64

// Since returns what was added since earlier was taken.
func (c Counts) Since(earlier Counts) Counts {
	out := Counts{}
	for kind, n := range c {
		if d := n - earlier[kind]; d != 0 && n > earlier[kind] {
			out[kind] = d
		}
	}
	return out
}
