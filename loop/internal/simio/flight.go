package simio

import (
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// flightState is where an operation in flight is.
//
//	submitted --Wait--> running --last completion queued--> finished
//	finished --that completion delivered--> (forgotten)
type flightState uint8

const (
	submitted flightState = iota
	running
	finished
)

var flightNames = [...]string{"submitted", "running", "finished, not yet delivered"}

// flight is the kernel's side of an operation. It has its own copy of what the
// operation asks for, to see whether the owner keeps its hands off.
type flight struct {
	e      *Engine
	op     *proactor.Op
	code   proactor.Code
	fd     int
	file   *file // of fd
	buf    []byte
	bufs   [][]byte
	sum    uint32
	pieces []*piece // of Alloc, in use by it
	state  flightState
	lazy   bool

	done   int // Send: bytes taken
	total  int // Send: bytes to take
	queued int // completions not yet delivered
}

// completion is what will be delivered.
type completion struct {
	fl        *flight
	res       int32
	more      bool
	truncated bool
	data      []byte // in a buffer of the pool
	addr      transport.Addr
	size      int // of a datagram, also where it was truncated
	segment   int // of each of several
}

// newFlight makes the kernel's side of op, after strict checks. Nothing changes
// before attach, so that a panic leaves op idle.
func (e *Engine) newFlight(op *proactor.Op) *flight {
	fl := &flight{e: e, op: op, code: op.Code, fd: op.FD, buf: op.Buf, lazy: op.Lazy}
	fl.bufs = append([][]byte(nil), op.Bufs...)
	fl.file = e.need(op.FD, "submit of "+op.Code.String())
	fl.checkSlots()
	e.memory.checkLive(fl.file, fl.memory())
	return fl
}

// attach takes op's descriptors and buffers over.
func (fl *flight) attach() {
	fl.pieces = fl.e.memory.pin(fl)
	if fl.code == proactor.Recv {
		poison(fl.buf)
	}
	fl.sum = checksum(fl.memory())
	for _, b := range fl.memory() {
		fl.total += len(b)
	}
	if fl.file == nil {
		return
	}
	fl.file.record("submit "+fl.code.String(), int64(len(fl.buf)))
	fl.file.flights = append(fl.file.flights, fl)
}

// memory returns the buffers that the owner lent.
func (fl *flight) memory() [][]byte {
	if fl.code == proactor.SendMsg {
		return fl.bufs
	}
	if fl.buf == nil {
		return nil
	}
	return [][]byte{fl.buf}
}

// progress implements operation.
func (fl *flight) progress() {
	if fl.state == running {
		fl.try()
	}
}

func (fl *flight) title() string  { return fl.code.String() }
func (fl *flight) status() string { return flightNames[fl.state] }

func (fl *flight) takesFrom(f *file) bool { return fl.receives() && fl.file == f }
func (fl *flight) putsInto(f *file) bool  { return fl.sends() && fl.file == f }
func (fl *flight) connects() bool         { return fl.code == proactor.Connect }
func (fl *flight) outlives() bool         { return false }

// receives reports whether fl takes bytes, datagrams or connections.
func (fl *flight) receives() bool {
	switch fl.code {
	case proactor.Accept, proactor.Recv, proactor.RecvAny, proactor.RecvMsg:
		return true
	}
	return false
}

// sends reports whether fl changes what goes out of its file.
func (fl *flight) sends() bool {
	switch fl.code {
	case proactor.Connect, proactor.Send, proactor.SendMsg:
		return true
	}
	return false
}

// start begins the operation, inside Wait.
func (fl *flight) start() {
	if fl.state != submitted {
		return // cancelled before it began
	}
	fl.state = running
	w := fl.e.World
	if fl.file == nil {
		fl.fail(syscall.EBADF)
		return
	}
	if fl.code != proactor.Poll && w.net.chance(w.faults.NoMemory) {
		fl.finish(-int32(syscall.ENOMEM))
		return
	}
	if fl.code == proactor.Connect {
		fl.startConnect()
		return
	}
	fl.try()
}

// try carries on as far as possible. It is called in state running only.
func (fl *flight) try() {
	switch fl.code {
	case proactor.Accept:
		fl.tryAccept()
	case proactor.Recv:
		fl.tryRecv()
	case proactor.RecvAny:
		fl.tryRecvAny()
	case proactor.RecvMsg:
		fl.tryRecvMsg()
	case proactor.Send, proactor.SendMsg:
		fl.trySend()
	case proactor.Waitid:
		fl.tryWaitid()
	}
}

// abandon ends the operation because it was cancelled.
func (fl *flight) abandon() {
	switch {
	case fl.state == finished:
		fl.e.release()
	case fl.done > 0:
		fl.finish(int32(fl.done))
	default:
		fl.finish(-int32(syscall.ECANCELED))
	}
}

// finish queues the last completion.
func (fl *flight) finish(res int32) {
	fl.state = finished
	fl.e.post(completion{fl: fl, res: res})
}

// fail is finish with an errno.
func (fl *flight) fail(errno Errno) { fl.finish(-int32(errno)) }

// more queues a completion that is not the last.
func (fl *flight) more(c completion) {
	c.fl, c.more = fl, true
	fl.e.post(c)
}

// again has the operation tried again later, where nothing else would.
func (fl *flight) again() {
	w := fl.e.World
	w.at(w.now+w.delay(), func() {
		if fl.state == running {
			fl.e.retried(fl)
			fl.file.touch()
		}
	})
}

// forget lets go of the operation: its last completion is about to be delivered.
func (fl *flight) forget() {
	if fl.file != nil {
		fl.file.dropFlight(fl)
	}
	fl.e.memory.unpin(fl.pieces)
}

func (f *file) dropFlight(op operation) {
	for i, other := range f.flights {
		if other == op {
			f.flights = append(f.flights[:i:i], f.flights[i+1:]...)
			break
		}
	}
	if f.left && len(f.flights) == 0 {
		f.close()
	}
}
