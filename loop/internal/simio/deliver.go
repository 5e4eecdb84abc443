package simio

import "github.com/sluice-net/sluice/loop/internal/proactor"

// post queues a completion for the next delivery. What was held back goes first.
func (e *Engine) post(c completion) {
	if e.over {
		return
	}
	c.fl.queued++
	if c.fl.lazy && c.res > 0 && e.net.below(2) == 0 {
		e.held = append(e.held, c)
		return
	}
	e.release()
	e.ready = append(e.ready, c)
	e.rouse()
}

// release ends the holding back of lazy completions.
func (e *Engine) release() {
	e.ready = append(e.ready, e.held...)
	e.held = e.held[:0]
}

// deliver hands out what is ready by now. What handlers cause comes next time.
func (e *Engine) deliver() {
	n := e.fit(len(e.ready))
	if n > 1 && e.turns.chance(e.faults.Reorder) {
		e.shuffle(e.ready[:n])
	}
	for range n {
		c := e.ready[0]
		e.ready = e.ready[1:]
		e.deliverOne(&c)
	}
}

// fit returns how many of n completions fit into the completion queue, which
// has twice the entries of the submission queue. The rest is for the next Wait.
func (e *Engine) fit(n int) int {
	room := min(n, 2*int(e.cfg.Entries))
	if room > 1 && e.turns.chance(e.faults.Overflow) {
		room = e.turns.between(1, room-1)
	}
	e.stats.Overflows += uint64(n - room)
	return room
}

// shuffle puts completions into another order, but keeps that of each
// descriptor, and of lazy ones and what came after: there the order is a
// promise.
func (e *Engine) shuffle(batch []completion) {
	for i := len(batch) - 1; i >= 0; i-- {
		if batch[i].fl.lazy {
			batch = batch[i+1:]
			break
		}
	}
	for i := range batch {
		fd := batch[i+e.turns.below(len(batch)-i)].fl.fd
		first := i
		for batch[first].fl.fd != fd {
			first++
		}
		c := batch[first]
		copy(batch[i+1:first+1], batch[i:first])
		batch[i] = c
	}
}

// deliverOne checks that the owner kept its hands off, calls the handler, and
// takes back the buffer that it saw.
func (e *Engine) deliverOne(c *completion) {
	fl, op := c.fl, c.fl.op
	fl.queued--
	fl.checkDelivery(c)
	if !c.more {
		fl.forget()
		e.flights[op.Engine.Slot-1] = nil
		e.free = append(e.free, op.Engine.Slot)
	}
	e.stats.Completed++
	if m := op.Message; fl.code == proactor.RecvMsg {
		m.Truncated, m.Addr, m.Size, m.Segment = c.truncated, c.addr, c.size, c.segment
	}
	if fl.code == proactor.RecvAny && c.data != nil {
		e.offer(op, c.data)
	}
	e.unlocked(func() { op.Deliver(c.res, c.more, c.data) })
	if c.data != nil {
		e.takeBack(op, c.data)
	}
	e.settle()
}

// checkDelivery verifies the owner's side, and records the completion.
func (fl *flight) checkDelivery(c *completion) {
	if fl.file == nil {
		return // no such descriptor
	}
	fl.checkOwner()
	data := c.data
	if fl.code == proactor.Recv && c.res > 0 {
		data = fl.buf[:c.res]
	}
	verb := fl.code.String()
	if c.more {
		verb += "+"
	}
	fl.file.record(verb, int64(c.res), data)
}
