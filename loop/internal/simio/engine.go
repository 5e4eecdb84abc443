package simio

import (
	"math"
	"time"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// turnCost is how long a turn of the loop takes in virtual time.
const turnCost = time.Microsecond

// Engine implements proactor.Proactor in its World.
type Engine struct {
	calls
	cfg     proactor.Config
	flights []*flight // the slab: Op.Engine.Slot is an index plus 1
	free    []uint32
	queue   []request // submitted and cancelled since the last Wait
	ready   []completion
	held    []completion // successes of lazy operations: they do not end a Wait
	polls   []*flight

	spare   [][]byte  // receive buffers not in use
	out     int       // receive buffers in use
	bufs    [][]byte  // receive buffers ever made, by number
	kept    []uint16  // of those, the ones that their receivers keep
	starved []*flight // wait for a buffer
	notices [2]int    // exhaustions to tell about, by group

	started, waiting, woken, over bool

	observer proactor.Observer // nil: nobody watches
	stats    proactor.Stats
}

var _ proactor.Proactor = (*Engine)(nil)

// request is a submission or a cancellation, in order.
type request struct {
	fl     *flight
	cancel bool
}

// NewEngine returns one more engine in the world.
func (w *World) NewEngine(cfg proactor.Config) *Engine {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := &Engine{calls: calls{World: w, memory: allocator{w: w}}, cfg: cfg.WithDefaults()}
	w.engines = append(w.engines, e)
	return e
}

// Start implements proactor.Proactor.
func (e *Engine) Start() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.check(!e.started, "Start called twice")
	e.started = true
	return nil
}

// Submit implements proactor.Proactor.
func (e *Engine) Submit(op *proactor.Op) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.check(!e.over, "Submit after Close")
	e.check(!op.InFlight(), op.Code.String()+" submitted while in flight")
	fl := e.newFlight(op)
	op.Begin()
	fl.attach()
	op.Engine.Slot = e.enter(fl)
	e.stats.Submitted++
	e.queue = append(e.queue, request{fl: fl})
}

// enter puts fl into the slab.
func (e *Engine) enter(fl *flight) uint32 {
	if n := len(e.free); n > 0 {
		slot := e.free[n-1]
		e.free = e.free[:n-1]
		e.flights[slot-1] = fl
		return slot
	}
	e.flights = append(e.flights, fl)
	return uint32(len(e.flights))
}

// Cancel implements proactor.Proactor.
func (e *Engine) Cancel(op *proactor.Op) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.check(!e.over, "Cancel after Close")
	if !op.BeginCancel() {
		return
	}
	fl := e.flights[op.Engine.Slot-1]
	e.check(fl != nil && fl.op == op, "Cancel of an operation of another engine")
	if fl.file != nil {
		fl.file.record("cancel "+fl.code.String(), 0)
	}
	e.queue = append(e.queue, request{fl: fl, cancel: true})
}

// Wait implements proactor.Proactor, in virtual time: where nothing is to be
// delivered now, it is at once later. With no timeout and nothing that will
// ever happen it calls Options.Idle and blocks, in real time, until Wake or
// until another goroutine does something to the world. Such a wait draws no fault:
// whether there is one before a call from outside is a matter of real time.
func (e *Engine) Wait(timeout time.Duration) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.check(!e.waiting, "Wait called inside Wait")
	if e.over {
		return proactor.ErrClosed
	}
	e.check(e.started, "Wait before Start")
	e.waiting = true
	defer func() { e.waiting = false }()

	e.stats.Syscalls++
	if timeout != 0 {
		e.stats.Waits++
	}
	if e.observer != nil {
		e.observer.Round(e.now)
	}
	deadline := time.Duration(math.MaxInt64)
	if timeout >= 0 && e.now <= deadline-timeout {
		deadline = e.now + timeout
	}
	e.takeQueue()
	idle := timeout < 0 && len(e.ready) == 0 && len(e.events) == 0
	if !idle && e.turns.chance(e.faults.Spurious) {
		e.woken = false
		e.now += turnCost
		return nil
	}
	e.doze(deadline, timeout)
	e.woken = false
	e.release()
	e.tell()
	if len(e.ready) > 0 || timeout == 0 {
		e.now += turnCost
	}
	e.deliver()
	return nil
}

// takeQueue begins what was submitted and cancelled, in order.
func (e *Engine) takeQueue() {
	for len(e.queue) > 0 {
		r := e.queue[0]
		e.queue = e.queue[1:]
		rate, do := e.faults.Delay, r.fl.start
		if r.cancel {
			rate, do = e.faults.LateCancel, r.fl.abandon
		} else if r.fl.code == proactor.Poll {
			e.polls = append(e.polls, r.fl)
		}
		if e.net.chance(rate) {
			r.fl.lazy = false // as for a send that blocks
			e.at(e.now+e.delay(), do)
			continue
		}
		do()
		e.settle()
	}
}

// doze sleeps, and tells who watches where timeout allows it to take time.
func (e *Engine) doze(deadline, timeout time.Duration) {
	told := e.observer != nil && timeout != 0
	if told {
		e.observer.Sleep(e.now)
	}
	e.sleep(deadline, timeout < 0)
	if told {
		e.observer.Woke(e.now)
	}
}

// sleep lets time pass until there is something to deliver, or Wake, or the
// deadline; for ever says that there is none.
func (e *Engine) sleep(deadline time.Duration, forever bool) {
	for {
		called := e.runDue()
		e.scanPolls()
		if len(e.ready) > 0 || e.woken || called {
			return
		}
		switch {
		case len(e.events) > 0 && e.events[0].at <= deadline:
			e.now = max(e.now, e.events[0].at)
		case !forever:
			e.now = max(e.now, deadline)
			return
		default:
			e.block(func() bool { return e.woken || len(e.ready) > 0 })
		}
	}
}

// Watch implements proactor.Proactor.
func (e *Engine) Watch(o proactor.Observer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.observer = o
}

// tell tells about exhausted buffers.
func (e *Engine) tell() {
	for group := range e.notices {
		for ; e.notices[group] > 0; e.notices[group]-- {
			if e.cfg.BuffersExhausted != nil {
				e.unlocked(func() { e.cfg.BuffersExhausted(uint16(group)) })
			}
		}
	}
}

// Wake implements proactor.Proactor.
func (e *Engine) Wake() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.woken {
		e.woken = true
		e.stats.Wakes++
		e.rouse()
	}
}

// Stats implements proactor.Proactor.
func (e *Engine) Stats() proactor.Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.stats
	s.BuffersInUse = max(len(e.bufs), e.cfg.BuffersMin)
	return s
}

// Halt implements proactor.Proactor.
func (e *Engine) Halt() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.halt()
}

func (e *Engine) halt() {
	for _, fl := range e.flights {
		if fl != nil {
			fl.state = finished
			fl.forget()
		}
	}
	e.ready, e.held, e.queue, e.polls, e.flights = nil, nil, nil, nil, nil
}

// Close implements proactor.Proactor. Connections that were accepted and not
// delivered are closed: nobody else knows of them.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.check(!e.waiting, "Close called inside Wait")
	if e.over {
		return nil
	}
	e.over = true
	for _, c := range e.ready {
		if c.fl.code == proactor.Accept && c.res >= 0 {
			e.files[c.res-firstFD].close()
		}
	}
	e.halt()
	for len(e.memory.graveyard) > 0 {
		e.memory.exhume()
	}
	e.memory.pieces = nil
	e.settle()
	return nil
}
