package simio

import (
	"fmt"
	"slices"
	"syscall"
)

// task is an SQE that is being carried out.
//
//	taken --begin: done----------------------------------------> over
//	taken --begin: not now--> armed --ready, cancelled--> queued --goOn--> over | armed
//
// queued: on the ring's list of work, or on its way there. A task holds its file as
// the kernel does: a descriptor closed meanwhile changes nothing for it.
type task struct {
	r     *ring
	sqe   sqe
	fd    int
	file  *file
	state taskState

	queued    bool
	cancelled bool // by a cancel that has found it
	polled    bool // it was armed once
	fails     bool // what it ends with is a failure, whatever the number
	retries   int  // times that it was armed
	worker    bool // it was armed too often, a worker has it
	loops     int  // completions of a multishot one since it was last queued
	next      *task

	bufs     [][]byte // what it sends, or receives into
	total    int
	done     int // bytes sent
	message  *message
	leavings [][]byte // what was staged for it, to be poisoned
	asked    uint32   // Poll: the events, Poll and those that wait: edges seen
	edges    edges
	stale    uint32 // Poll: the events when it was woken
	answer   *Errno // Connect: what became of it
	bad      Errno  // found when it was taken
	began    bool
}

type taskState uint8

const (
	taskTaken taskState = iota
	taskArmed
	taskOver
)

// verdict is what an attempt ended with.
type verdict uint8

const (
	over    verdict = iota // ended, by end
	blocked                // to be armed
	requeue                // to go on in the next batch
)

// armsMax is how often a task waits for a readiness that may turn out to be none
// (Linux: APOLL_MAX_RETRY). Then a worker of the kernel does it: in a TCP socket it
// tries once and gives up, in another one it waits for room or data and nothing else.
const armsMax = 128

// begin is the first attempt.
func (t *task) begin() {
	t.began = true
	switch {
	case t.state == taskOver:
		return
	case t.bad != 0:
		t.fail(t.bad)
		return
	case t.sqe.flags&sqeAsync != 0:
		t.enqueue() // a kernel worker does it
		return
	}
	t.attempt()
}

// attempt tries, and waits if it must.
func (t *task) attempt() {
	switch t.try() {
	case blocked:
		t.arm()
	case requeue:
		t.enqueue()
	}
}

// goOn carries on with what was queued.
func (t *task) goOn() {
	switch {
	case t.state == taskOver:
	case t.cancelled:
		t.stop(syscall.ECANCELED)
	case !t.began:
		t.begin()
	default:
		t.attempt()
	}
}

// arm waits for readiness. What the kernel always tells of, though nobody asked, also
// ends a wait: an error, a hang-up, half of one.
func (t *task) arm() {
	if t.retries++; t.retries > armsMax && t.sqe.opcode != opPollAdd {
		if t.worker = !t.file.remoteStream(); !t.worker {
			t.stop(syscall.EAGAIN)
			return
		}
	}
	t.state, t.polled = taskArmed, true
	if t.waitsFor()&pollOut != 0 && t.file.events()&pollOut == 0 {
		t.file.noSpace = true
	}
	t.edges = t.file.edges()
	if t.sqe.opcode != opPollAdd && t.ready() {
		t.enqueue()
	}
}

// unasked are the events that the kernel tells of in any case (Linux: IO_POLL_UNMASK).
const unasked = pollErr | pollHup | pollRdHup

// ready reports whether what t waits for is there.
func (t *task) ready() bool {
	mask := t.waitsFor() | unasked
	if t.worker {
		mask = t.waitsFor()
	}
	return t.file.events()&uint16(mask) != 0
}

// progress implements operation.
func (t *task) progress() {
	if t.state != taskArmed || t.queued {
		return
	}
	switch t.sqe.opcode {
	case opPollAdd:
		t.pollWoken()
	case opConnect:
	case opWaitid:
		if t.file.exited {
			t.enqueue()
		}
	default:
		if t.ready() {
			t.enqueue()
		}
	}
}

// enqueue puts t on the ring's list of work: at once, or after a while.
func (t *task) enqueue() {
	if t.queued || t.state == taskOver {
		return
	}
	t.queued = true
	w := t.r.w
	if t.file != nil && t.file.event == nil && w.net.chance(w.faults.Delay) {
		w.at(w.now+w.delay(), t.append)
		return
	}
	t.append()
}

func (t *task) append() {
	if t.state == taskOver {
		return
	}
	t.r.work = append(t.r.work, t)
	t.r.flag(sqTaskrun, true)
	t.r.w.rouse()
}

// end ends the task with a completion, unless it is a success that is not asked for.
func (t *task) end(res int32, flags uint32, lent *provided) {
	r := t.r
	failed := res < 0 || t.fails
	t.record("", res)
	t.state = taskOver
	t.letGo()
	delete(r.byData, t.sqe.userData)
	i := slices.Index(r.tasks, t)
	r.tasks = slices.Delete(r.tasks, i, i+1)
	if t.file == nil || t.file.event == nil {
		r.m.busy = true
	}
	if failed || t.sqe.flags&sqeSkip == 0 {
		r.batch = append(r.batch, posting{cqe{t.sqe.userData, res, flags}, t.owner(), lent})
	}
	if next := t.next; next != nil {
		t.next = nil
		if failed && t.sqe.flags&sqeHardlink == 0 {
			next.fails = true
			next.end(-int32(syscall.ECANCELED), 0, nil)
		} else {
			next.enqueue()
		}
	}
}

// fail ends the task with an errno.
func (t *task) fail(errno Errno) { t.end(-int32(errno), 0, nil) }

// stop ends a task that does not get any further: by what it has sent, if anything.
func (t *task) stop(errno Errno) {
	if t.done > 0 {
		t.fails = true
		t.end(int32(t.done), 0, nil)
		return
	}
	t.fail(errno)
}

// letGo lets go of the files.
func (t *task) letGo() {
	if t.file != nil {
		t.file.dropFlight(t)
	}
}

// owner tells completions apart that may change places.
func (t *task) owner() int { return t.fd }

// record notes an event in the history of the file.
func (t *task) record(more string, res int32) {
	if t.file != nil && t.file.event == nil {
		t.file.record(t.title()+more, int64(res))
	}
}

// title implements operation.
func (t *task) title() string {
	if name, ok := opNames[t.sqe.opcode]; ok {
		return name
	}
	return fmt.Sprintf("opcode %d", t.sqe.opcode)
}

var opNames = map[uint8]string{opNop: "NOP", opWritev: "WRITEV", opReadFixed: "READ_FIXED",
	opPollAdd: "POLL_ADD", opPollRemove: "POLL_REMOVE", opSendMsg: "SENDMSG",
	opRecvMsg: "RECVMSG", opAccept: "ACCEPT", opCancel: "ASYNC_CANCEL", opConnect: "CONNECT",
	opRead: "READ", opWrite: "WRITE", opSend: "SEND", opRecv: "RECV",
	opWaitid: "WAITID"}

func (t *task) status() string {
	switch {
	case t.cancelled:
		return "cancelled"
	case t.queued:
		return "can go on"
	case t.state == taskArmed:
		return "waiting"
	}
	return "taken"
}

// takesFrom, putsInto and connects implement operation.
func (t *task) takesFrom(f *file) bool {
	switch t.sqe.opcode {
	case opRecv, opRecvMsg, opRead, opReadFixed, opAccept:
		return t.file == f
	}
	return false
}

func (t *task) putsInto(f *file) bool {
	switch t.sqe.opcode {
	case opSend, opSendMsg, opWrite, opWritev, opConnect:
		return t.file == f
	}
	return false
}

func (t *task) connects() bool { return t.sqe.opcode == opConnect }

// outlives implements operation: what was cancelled only has to be told of its end.
func (t *task) outlives() bool { return t.cancelled }
