// Package flowpage is what a loop publishes about its transports' pressure: plain
// memory that other processes read without stopping it. The kernel knows its own
// buffers; how much a transport has buffered in front of them, whether it or its
// protocol is paused, and whether the loop has time at all, only the program does.
//
// A page is a memfd with a header and an array of slots, one of 128 bytes for each
// transport. A loop makes one with loop.Options.FlowPage and is its only writer.
// Readers need no help of the loop's: Find opens the pages of a process through
// /proc, which its own user may do, and root.
//
//	0            4096        4224        4352
//	+------------+-----------+-----------+-----
//	| header     | slot 0    | slot 1    | ...      grows, never shrinks
//	+------------+-----------+-----------+-----
//
// # What a reader may rely on
//
// Every number is one aligned word and is stored at once, so that it is never half
// old and half new (on a 32-bit machine the words of 64 bits may be). Numbers of
// one slot are not from one instant: a reader may see that bytes were accepted and
// not yet that the buffer holds them. That is nanoseconds, and no number is
// computed from another one's old value. What must hold together, which transport
// a slot is of, is guarded by a sequence number that is odd while a slot changes
// hands.
//
// A time that adds up, such as how long writing was paused, is one word too: the
// sum while it does not run, and the sum less the time of its start while it does.
//
// Times are those of CLOCK_MONOTONIC, in nanoseconds, as the loop last looked at
// its clock: once or twice a round. What happens inside one round takes no time.
//
// A reader trusts nothing: what it reads is checked and bounded, whoever wrote it.
package flowpage
