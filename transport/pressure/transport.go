package pressure

import "time"

// Transport is what a loop publishes about a transport on its flow page: what only
// user space knows. Accumulated times include the time that is still running.
type Transport struct {
	// FD is its descriptor; Cookie is its socket's, or the inode of a pipe.
	FD     int    `json:"fd"`
	Cookie uint64 `json:"cookie"`
	// Kind and State are the words of package flowpage: "tcp", "open".
	Kind  string `json:"kind"`
	State string `json:"state"`
	// Created is when it was created, by CLOCK_MONOTONIC.
	Created time.Duration `json:"created"`

	// Buffered is the number of bytes accepted by Write and not yet taken by the
	// kernel. Writing is paused when it exceeds High, until it is at most Low.
	Buffered int `json:"buffered"`
	High     int `json:"high"`
	Low      int `json:"low"`
	// WritingPaused says that the protocol was told to pause, WritingPauses how
	// often that happened, and WritingPausedTime how long it was paused in total.
	WritingPaused     bool          `json:"writing_paused,omitempty"`
	WritingPauses     uint64        `json:"writing_pauses,omitempty"`
	WritingPausedTime time.Duration `json:"writing_paused_time,omitempty"`
	// Sending is the number of bytes of the send operation in flight, or 0 if there
	// is none. SendingFor is how long it has been in flight; SendingTime is how
	// long one was in flight in total.
	Sending     int           `json:"sending,omitempty"`
	SendingFor  time.Duration `json:"sending_for,omitempty"`
	SendingTime time.Duration `json:"sending_time,omitempty"`
	// Written is the total number of bytes accepted.
	Written uint64 `json:"written"`

	// ReadingPaused, ReadingPauses and ReadingPausedTime are the same for
	// PauseReading.
	ReadingPaused     bool          `json:"reading_paused,omitempty"`
	ReadingPauses     uint64        `json:"reading_pauses,omitempty"`
	ReadingPausedTime time.Duration `json:"reading_paused_time,omitempty"`
	// Held is the number of completions that were received and not delivered
	// because reading is paused, HeldBytes the number of their bytes.
	Held      int `json:"held,omitempty"`
	HeldBytes int `json:"held_bytes,omitempty"`
	// Starved says that a receive is waiting for a free buffer, Starvations how
	// often that happened, and StarvedTime how long it waited in total.
	Starved     bool          `json:"starved,omitempty"`
	Starvations uint64        `json:"starvations,omitempty"`
	StarvedTime time.Duration `json:"starved_time,omitempty"`
	// EOF says that the peer has ended its output.
	EOF bool `json:"eof,omitempty"`
	// Read is the total number of bytes delivered.
	Read uint64 `json:"read"`

	// Loop is the index into Snapshot.Loops.
	Loop int `json:"loop"`
}

// Loop is what a loop publishes about itself.
type Loop struct {
	// ID identifies the loop within its process. Thread is its thread ID as the
	// process sees it, or 0 if it has not run yet.
	ID     int `json:"id"`
	Thread int `json:"thread,omitempty"`
	// Engine is "io_uring", "epoll" or another engine's name; RingFD is the ring's
	// descriptor, or -1 if there is none.
	Engine string `json:"engine"`
	RingFD int    `json:"ring_fd"`
	// Busy accumulates the time spent in callbacks and other work, Waiting the time
	// spent in the kernel, each up to now; Turns counts rounds.
	Busy    time.Duration `json:"busy"`
	Waiting time.Duration `json:"waiting"`
	Turns   uint64        `json:"turns"`
	// Unlisted counts transports for which the page had no slot.
	Unlisted uint64 `json:"unlisted,omitempty"`
	// TurnStart is when the current turn began, by CLOCK_MONOTONIC, or 0 while the
	// loop waits.
	TurnStart time.Duration `json:"turn_start,omitempty"`
}
