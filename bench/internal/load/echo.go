package load

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"

	"golang.org/x/sys/unix"

	"github.com/sluice-net/sluice/bench/internal/contest"
)

var errClosed = errors.New("load: the server closed a connection")

// stampsWithRate is how many messages of one connection may be under way where
// the server does not decide when the next is sent.
const stampsWithRate = 4096

// An echoer sends messages and takes them back.
//
// In a closed loop, a message that is back sends the next. With a rate,
// messages are due at fixed times, on one connection after the other, however
// slow the answers are; and a message's time is counted from when it was due,
// so that one that had to wait for others to be sent does not look fast
// (coordinated omission). With Poisson the times are drawn instead.
type echoer struct {
	*Pool
	underway int
	interval float64 // nanoseconds between messages
	due      float64 // when the next is
	next     int     // on which connection
	chance   *rand.Rand
	nextLook int64 // for datagrams that are lost

	// opened is whose records are being opened. takeOpened is take for it, made
	// once: a closure for each message would be garbage.
	opened     *conn
	takeOpened func([]byte) error

	// answered are the connections that have messages to send again. That is
	// done when all events of a round were looked at: reading from many
	// connections and then writing to many is cheaper than alternating.
	answered []*conn
}

func newEchoer(p *Pool) *echoer {
	e := &echoer{Pool: p, answered: make([]*conn, 0, len(p.conns))}
	e.takeOpened = func(plain []byte) error { return e.take(e.opened, plain) }
	depth := p.opts.Depth
	if p.opts.Rate > 0 {
		depth, e.interval = stampsWithRate, 1e9/p.opts.Rate
	}
	e.chance = rand.New(rand.NewPCG(0, 0)) // the same for all contestants
	room := 1 << bits.Len(uint(depth-1))
	stamps := make([]int64, room*len(p.conns))
	for i := range p.conns {
		p.conns[i].stamps = stamps[i*room : (i+1)*room]
	}
	return e
}

func (e *echoer) start(now int64) {
	for _, c := range e.answered { // of the slice before, when its time was up
		c.again = 0
	}
	e.answered = e.answered[:0]
	if e.interval > 0 {
		e.due = float64(now)
		return
	}
	for i := range e.conns {
		e.check(e.issue(&e.conns[i], e.opts.Depth, now))
	}
}

func (e *echoer) finished(now int64) bool {
	if e.underway > 0 || e.mayStart(now) {
		return false
	}
	if e.interval == 0 || e.due >= float64(e.deadline) {
		return true
	}
	if now < e.lastCall() {
		return false
	}
	e.out.Late = int64(math.Ceil((float64(e.deadline) - e.due) / e.interval))
	return true
}

// lastCall is until when what was due in time is still sent: for as long again.
func (e *echoer) lastCall() int64 { return e.deadline + int64(e.slice.Time) }

// pace sends what is due. A connection on which too much is under way holds up
// the rest: their time counts all the same.
func (e *echoer) pace(now int64) {
	if e.opts.Datagrams {
		e.giveUp(now)
	}
	e.answer()
	if e.interval == 0 || now >= e.lastCall() {
		return
	}
	for end := float64(min(now, e.deadline-1)); e.due <= end && e.err == nil; {
		c := &e.conns[e.next]
		if c.full() {
			return
		}
		e.check(e.issue(c, 1, int64(e.due)))
		e.choose()
	}
}

// choose says when the next message is due, and where.
func (e *echoer) choose() {
	if e.opts.Poisson {
		e.due += e.interval * e.chance.ExpFloat64()
		e.next = e.chance.IntN(len(e.conns))
		return
	}
	e.due += e.interval
	if e.next++; e.next == len(e.conns) {
		e.next = 0
	}
}

// answer sends the next messages of a closed loop.
func (e *echoer) answer() {
	for _, c := range e.answered {
		count := c.again
		c.again = 0
		if now := e.now(); e.mayStart(now) {
			e.check(e.issue(c, count, now))
		}
	}
	e.answered = e.answered[:0]
}

// issue starts count messages that were due at stamp.
func (e *echoer) issue(c *conn, count int, stamp int64) error {
	for range count {
		c.push(stamp)
	}
	c.owed += count * e.opts.Size
	e.underway += count
	e.peak = max(e.peak, e.underway)
	return e.flush(c)
}

// flush writes what is owed as far as the socket takes it. It says when it
// takes more: EPOLLOUT. The ring sends at the end of the round.
func (p *Pool) flush(c *conn) error {
	if p.ring != nil {
		p.worked = true
		p.ring.owe(c)
		return nil
	}
	for {
		if err := p.refill(c); err != nil || len(c.out) == 0 {
			return err
		}
		n, err := c.send(c.out)
		if n == 0 {
			return err
		}
		p.worked = true
		c.out = c.out[n:]
	}
}

// refill sees to it that out holds something, if anything is owed.
func (p *Pool) refill(c *conn) (err error) {
	if len(c.out) > 0 || c.owed == 0 {
		return nil
	}
	if p.opts.Kind == HTTP {
		c.out = request
		c.owed -= len(request)
		return nil
	}
	size := contest.ChunkMax
	if p.opts.Datagrams {
		size = p.opts.Size
	}
	c.out = contest.Pattern(c.origin+c.sent, min(c.owed, size))
	c.sent += int64(len(c.out))
	c.owed -= len(c.out)
	if c.tls != nil {
		c.out, err = c.tls.seal(c.out)
	}
	return err
}

// ready is for drivers on epoll: it writes what is owed and has the driver see what
// has arrived.
func (p *Pool) ready(c *conn, events uint32) error {
	if events&unix.EPOLLOUT != 0 {
		if err := p.flush(c); err != nil {
			return err
		}
	}
	if events&^unix.EPOLLOUT == 0 {
		return nil
	}
	for {
		n, err := c.recv(p.buf, 0)
		if n == 0 {
			return err
		}
		if err := p.driver.arrived(c, p.buf[:n]); err != nil {
			return err
		}
		if n < len(p.buf) && !p.opts.Datagrams { // for more there will be an event
			return nil
		}
	}
}

// arrived takes what came on the connection.
func (e *echoer) arrived(c *conn, data []byte) error {
	if c.tls == nil {
		return e.take(c, data)
	}
	e.worked = true // a part of a record may be all
	e.opened = c
	return c.tls.open(data, e.takeOpened)
}

// take counts the messages that data completes, and sends as many.
func (e *echoer) take(c *conn, data []byte) error {
	if e.opts.Datagrams && e.skipLost(c, data) {
		return nil
	}
	if err := e.isDue(c, data); err != nil {
		return err
	}
	e.worked = true
	size := int64(e.opts.Size)
	done := int((c.received%size + int64(len(data))) / size)
	c.received += int64(len(data))
	now := e.now()
	for range done {
		stamp := c.pop()
		if e.slice.Latency != nil {
			e.slice.Latency.RecordValue(now - stamp)
		}
	}
	e.underway -= done
	e.out.Messages += int64(done)
	e.out.Bytes += int64(done) * size
	e.sendAgain(c, done)
	return nil
}

// sendAgain has count messages of a closed loop sent when the round's events are over.
func (e *echoer) sendAgain(c *conn, count int) {
	if count == 0 || e.interval > 0 {
		return
	}
	if c.again == 0 {
		e.answered = append(e.answered, c)
	}
	c.again += count
}

// isDue returns an error unless data is what was sent and is not back yet.
func (e *echoer) isDue(c *conn, data []byte) error {
	switch {
	case c.received+int64(len(data)) > c.sent:
		return c.excess(c.sent)
	case e.opts.Datagrams && len(data) != e.opts.Size:
		return &Mismatch{c.index, c.received,
			fmt.Sprintf("a datagram of %d bytes instead of %d", len(data), e.opts.Size)}
	}
	return c.compare(data)
}
