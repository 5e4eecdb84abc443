// Package uring is io_uring for a program of one's own design: a ring, what can
// be submitted to it, what comes back, and a probe of what the kernel can do. It
// follows liburing in names and semantics, needs no C, and stands alone.
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
// Ring.SQE lends an entry, a Prep method fills it, SetUserData names it, Submit
// or SubmitAndWait hands it over. Its completion carries the name and a result:
// a count, a descriptor, or -errno. A multishot operation completes many times,
// until a completion without CQE.More.
//
// # Memory
//
// An SQE holds addresses as numbers, in memory that the garbage collector does not
// look at. So there is one rule for everything that an SQE points to:
//
//   - What the kernel reads while it takes the SQE, message headers, vectors, socket
//     addresses, times, is staged: Ring.StageMsg and its kin copy it to memory of the
//     ring's own, outside of Go's heap. That is as large as what one submission may
//     point to; where it is full, submit first. It is free again when nothing is
//     Pending. A header of one's own works as well, if it is kept reachable until
//     then, in a variable that outlives the call.
//   - What the kernel reads or writes until the completion, the bytes to send or to
//     receive into, a Siginfo, has one owner who keeps it reachable until the last
//     completion, and who does not reuse it before. The ring does not.
//   - Buffers of a BufRing and the queues are the ring's, mapped until Close; where the
//     kernel does not let go in time, to the end of the process.
//
// Staged memory is written as numbers too. To store a Go pointer outside of the heap
// would have the collector look at the pointer that was there before.
//
// # Threads
//
// A Ring is for one goroutine, which is locked to its thread by
// runtime.LockOSThread: completions are worked out only inside that thread's own
// calls (IORING_SETUP_DEFER_TASKRUN), which costs least. Make the ring with
// Options.Disabled to create it elsewhere and earlier.
//
// # Kernels
//
// New works from Linux 5.11 on and takes the best that the kernel has. A Prep
// method says since when the kernel knows it; an older one completes it with
// EINVAL, or takes it for something simpler. Probe tells, by doing each thing
// once. Versions are of liburing's manual pages and of the kernel's history,
// where nothing else is said; "seen on" means measured.
//
// # Cost
//
// Submitting and completing allocate nothing. An enter that cannot block bypasses
// the scheduler, one that can block lets other goroutines run.
package uring
