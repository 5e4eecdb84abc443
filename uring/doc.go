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
// until a completion without CQE.More. From the submission to the last completion
// the kernel may use the memory that the operation points to; the ring does not
// keep it reachable: its owner must.
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
