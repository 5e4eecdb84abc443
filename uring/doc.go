// Package uring gives Go programs direct access to io_uring: a ring, the operations
// that can be submitted to it, their completions, and a probe of what the kernel
// can do. It follows liburing in names and semantics, needs no C, and depends on no
// other package of this module.
//
//	      SQE --Prep*--> Submit                Peek --> CQE --> Advance
//	         \             |                    ^
//	user      \  +---------v---------+     +----+--------------+
//	memory     `>| submission queue  |     | completion queue  |   + BufRing: buffers
//	             +---------+---------+     +----^--------------+     that receives take
//	- - - - - - - - - - - -|- - io_uring_enter -|- - - - - - - -     when data is there
//	kernel                 v                    |
//	             operations: tried at once, else when the socket is ready
//
// # Life of an operation
//
// Ring.SQE lends an entry, a Prep method fills it in, SetUserData names it, and
// Submit or SubmitAndWait hands it over. Its completion carries that name and a
// result: a count, a descriptor, or -errno. A multishot operation completes many
// times, until a completion without CQE.More.
//
// # Memory
//
// An SQE holds addresses as numbers, in memory that the garbage collector does not
// scan. The rules for what an SQE points to are therefore:
//
//   - What the kernel reads while it takes the SQE (message headers, vectors,
//     socket addresses, times) is staged: Ring.StageMsg and the other Stage methods
//     copy it to memory owned by the ring, outside of Go's heap. That memory has
//     room for what one submission may point to; when it is full, submit first. It
//     is free again when nothing is Pending. A header of the caller's own works as
//     well, if it is kept reachable until then in a variable that outlives the
//     call.
//   - What the kernel reads or writes until the completion (the bytes to send, the
//     memory to receive into, a Siginfo) has one owner, who keeps it reachable
//     until the last completion and does not reuse it before then. The ring does
//     not keep it reachable.
//   - The queues and the buffers of a BufRing belong to the ring and stay mapped
//     until Close or, if the kernel does not release them in time, until the
//     process ends.
//
// Staged memory, too, is written as numbers. Storing a Go pointer outside of the
// heap would make the collector look at the pointer that was there before.
//
// # Threads
//
// A Ring must be used by one goroutine, which is locked to its thread by
// runtime.LockOSThread: completions are processed only inside that thread's own
// calls (IORING_SETUP_DEFER_TASKRUN), which costs least. To create the ring earlier
// or on another thread, use Options.Disabled.
//
// # Kernels
//
// New works on Linux 5.11 and later and uses the best that the kernel offers. Each
// Prep method states the first kernel version that supports it; an older kernel
// completes the operation with EINVAL, or mistakes it for a simpler one. Probe
// finds out what works by doing each thing once. Unless stated otherwise, versions
// are taken from liburing's manual pages and the kernel's history; "seen on" means
// measured.
//
// # Cost
//
// Submitting and completing allocate nothing. A call of io_uring_enter that cannot
// block bypasses the scheduler; one that can block lets other goroutines run.
package uring
