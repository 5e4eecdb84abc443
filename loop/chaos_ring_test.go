package loop

import "testing"

// TestChaosOnARing is TestChaos through the engine on io_uring itself, on a ring that
// is simulated: the kernel's side of it. The queues are small, from one entry up, so
// that most turns need several enters and completions overflow.
//
// To see that the test can fail, these faults were planted by hand, one at a time; with
// each is the seed that killed it, and what the run said. The line to change is in
// package iouring unless another is named.
//
//	account forgets that only a part was taken            0  data of no operation in flight
//	settle does not fetch what overflowed                 4  completion of a send not in flight
//	collect leaves the last completion for another look   0  of an operation not in flight
//	completeSend tries again at once after EAGAIN         0  the loop turns without end
//	completeSend tells an error as a count               28  EOF from a live writer
//	completeSend counts half of a short send              1  270 bytes received, 144 sent
//	retryStarved retries none                             0  the loop turns without end
//	deliverBuffer gives the buffer back first             0  was given back twice
//	taken frees what is staged and pending (uring)       12  bytes are not what was sent
//	StageVectors makes them on the heap (uring)           0  not in memory of the ring
//	polled does not end a poll that is sated             44  it still closes
//	polled repeats a poll that saw the peer's end       220  the loop turns without end
//	again forgets that the operation was cancelled        1  the loop turns without end
//	fill forgets cancels that found no SQE                4  nothing will ever happen
//	completeAccept does not arm again                   108  nothing will ever happen
//	completeAny does not arm again                        1  24 bytes of 30 arrived
//
// Not among them: names of requests without a generation, without which nothing goes
// wrong, because a slot is free only after the last completion of its request, and a
// cancel is handed over before whatever has the slot next.
func TestChaosOnARing(t *testing.T) { chaosAll(t, onRing) }
