package load

import (
	"bytes"
	"fmt"

	"github.com/sluice-net/sluice/bench/internal/contest"
)

// request is what is asked for, again and again.
var request = []byte("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")

// What every answer begins with, has in it and ends with.
var (
	answerBegin = []byte("HTTP/1.1 200 OK\r\n")
	answerHas   = fmt.Appendf(nil, "\r\nContent-Length: %d\r\n", len(contest.HTTPAnswer))
	answerEnd   = []byte("\r\n\r\n" + contest.HTTPAnswer)
)

// answerMax is how many bytes an answer may have.
const answerMax = 4 << 10

// An asker asks a question on each connection, and the next one when it has the answer.
type asker struct {
	*Pool
	underway int
	answered []*conn
}

func newAsker(p *Pool) *asker {
	a := &asker{Pool: p, answered: make([]*conn, 0, len(p.conns))}
	for i := range p.conns {
		p.conns[i].stamps = make([]int64, 1)
	}
	return a
}

func (a *asker) start(now int64) {
	a.answered = a.answered[:0]
	for i := range a.conns {
		a.ask(&a.conns[i], now)
	}
}

// pace asks again where there was an answer, when all events of a round were looked at.
func (a *asker) pace(int64) {
	for _, c := range a.answered {
		if now := a.now(); a.err == nil && a.mayStart(now) {
			a.ask(c, now)
		}
	}
	a.answered = a.answered[:0]
}

func (a *asker) finished(now int64) bool { return a.underway == 0 && !a.mayStart(now) }

func (a *asker) ask(c *conn, now int64) {
	c.push(now)
	c.owed += len(request)
	a.underway++
	a.check(a.flush(c))
}

// arrived takes a part of an answer, in most cases all of it.
func (a *asker) arrived(c *conn, data []byte) error {
	a.worked = true
	if c.tail == c.head {
		return c.excess(c.received)
	}
	if len(c.part) > 0 {
		c.part = append(c.part, data...)
		data = c.part
	}
	if !bytes.HasSuffix(data, answerEnd) && len(data) < answerMax {
		if len(c.part) == 0 {
			c.part = append(c.part, data...)
		}
		return nil
	}
	if !bytes.HasPrefix(data, answerBegin) || !bytes.Contains(data, answerHas) ||
		!bytes.HasSuffix(data, answerEnd) {
		return &Mismatch{c.index, c.received, fmt.Sprintf("%.60q, no answer", data)}
	}
	c.received += int64(len(data))
	a.out.Bytes += int64(len(data))
	c.part = c.part[:0]
	a.underway--
	a.out.Messages++
	stamp := c.pop()
	if a.slice.Latency != nil {
		a.slice.Latency.RecordValue(a.now() - stamp)
	}
	a.answered = append(a.answered, c)
	return nil
}
