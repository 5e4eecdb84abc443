package pressure

import "time"

// Transport is what a loop publishes of a transport on its flow page: what only
// user space knows. Times that accumulate include what goes on now.
type Transport struct {
	// FD is its descriptor; Cookie its socket's, or the inode of a pipe.
	FD     int    `json:"fd"`
	Cookie uint64 `json:"cookie"`
	// Kind and State are the words of package flowpage: "tcp", "open".
	Kind  string `json:"kind"`
	State string `json:"state"`
	// Created is when it began, by CLOCK_MONOTONIC.
	Created time.Duration `json:"created"`

	// Buffered are the bytes accepted by Write and not taken by the kernel. Writing
	// is paused when they exceed High, until they are at most Low.
	Buffered int `json:"buffered"`
	High     int `json:"high"`
	Low      int `json:"low"`
	// WritingPaused says that the protocol was told to pause; WritingPauses how
	// often; WritingPausedTime for how long in all.
	WritingPaused     bool          `json:"writing_paused,omitempty"`
	WritingPauses     uint64        `json:"writing_pauses,omitempty"`
	WritingPausedTime time.Duration `json:"writing_paused_time,omitempty"`
	// Sending are the bytes of the send operation that the engine has, 0 if none;
	// SendingFor for how long it has had it; SendingTime for how long it had one in
	// all.
	Sending     int           `json:"sending,omitempty"`
	SendingFor  time.Duration `json:"sending_for,omitempty"`
	SendingTime time.Duration `json:"sending_time,omitempty"`
	// Written are the bytes accepted in all.
	Written uint64 `json:"written"`

	// ReadingPaused, ReadingPauses and ReadingPausedTime: PauseReading was called.
	ReadingPaused     bool          `json:"reading_paused,omitempty"`
	ReadingPauses     uint64        `json:"reading_pauses,omitempty"`
	ReadingPausedTime time.Duration `json:"reading_paused_time,omitempty"`
	// Held are received and not delivered, because reading is paused: completions
	// and their bytes.
	Held      int `json:"held,omitempty"`
	HeldBytes int `json:"held_bytes,omitempty"`
	// Starved says that a receive waits for a free buffer; Starvations how often;
	// StarvedTime for how long in all.
	Starved     bool          `json:"starved,omitempty"`
	Starvations uint64        `json:"starvations,omitempty"`
	StarvedTime time.Duration `json:"starved_time,omitempty"`
	// EOF says that the peer has ended its side.
	EOF bool `json:"eof,omitempty"`
	// Read are the bytes delivered in all.
	Read uint64 `json:"read"`

	// Loop is the index into Snapshot.Loops.
	Loop int `json:"loop"`
}

// Loop is what a loop publishes of itself.
type Loop struct {
	// ID tells the loops of a process apart; Thread is its thread as the process
	// sees it, 0 if it did not run yet.
	ID     int `json:"id"`
	Thread int `json:"thread,omitempty"`
	// Engine is "io_uring", "epoll" or another engine's name; RingFD its
	// descriptor, -1 if it has none.
	Engine string `json:"engine"`
	RingFD int    `json:"ring_fd"`
	// Busy accumulates the time in callbacks and other work, Waiting that in the
	// kernel, each up to now; Turns counts rounds.
	Busy    time.Duration `json:"busy"`
	Waiting time.Duration `json:"waiting"`
	Turns   uint64        `json:"turns"`
	// Unlisted counts transports that the page had no slot for.
	Unlisted uint64 `json:"unlisted,omitempty"`
	// TurnStart is when the turn that goes on began, by CLOCK_MONOTONIC, 0 while
	// the loop waits.
	TurnStart time.Duration `json:"turn_start,omitempty"`
}
