// Package flowpage reads what a loop publishes about its transports' back-pressure:
// plain memory that other processes read without stopping the loop. The kernel
// knows its own buffers; but how much a transport has buffered in front of them,
// whether it or its protocol is paused, and whether the loop is keeping up, only
// the program knows.
//
// A page is a memfd with a header and an array of slots, one of 128 bytes for each
// transport. A loop creates a page if loop.Options.FlowPage is set, and is its only
// writer. Readers need no help from the loop: Find opens the pages of a process
// through /proc, which is open to the process's own user and to root.
//
//	0            4096        4224        4352
//	+------------+-----------+-----------+-----
//	| header     | slot 0    | slot 1    | ...      grows, never shrinks
//	+------------+-----------+-----------+-----
//
// # What a reader may rely on
//
// Every number is one aligned word and is stored at once, so a reader never sees it
// half old and half new (except, on a 32-bit machine, words of 64 bits). The
// numbers of one slot are not from a single instant: a reader may see that bytes
// were accepted before it sees that the buffer holds them. The difference is
// nanoseconds, and no number is computed from an old value of another. The one
// thing that must be consistent, which transport a slot belongs to, is guarded by a
// sequence number that is odd while a slot changes hands.
//
// An accumulated time, such as how long writing was paused, is one word too: the
// sum while the time is not running, and the sum less its start time while it is.
//
// Times are those of CLOCK_MONOTONIC, in nanoseconds, as of the loop's last look at
// its clock, which is once or twice a round. What happens within one round takes no
// time.
//
// A reader trusts nothing: what it reads is checked and bounded, no matter who
// wrote it.
package flowpage
