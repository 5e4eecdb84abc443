package load

import (
	"bytes"
	"time"

	"github.com/sluice-net/sluice/bench/internal/contest"
)

// Datagrams of a connection come back in the order in which they were sent, or not at
// all. One that comes instead of others tells that these are lost; and if nothing comes
// for lossAfter, all that are under way on the connection are given up. Should they come
// after all, they are no longer lost, and nothing else.
const lossAfter = 250 * time.Millisecond

// skipLost takes what is lost, if data says so, off what is under way. It reports
// whether data is a datagram that was given up, which is of no other use.
func (e *echoer) skipLost(c *conn, data []byte) (late bool) {
	now := e.now()
	if c.isAt(data, c.received) || len(data) != e.opts.Size {
		c.lastCame = now
		return false
	}
	size := int64(e.opts.Size)
	for at := c.givenUp; at < c.givenUpEnd; at += size {
		if c.isAt(data, at) {
			e.worked = true
			e.out.Lost--
			c.givenUp = at + size
			return true
		}
	}
	for at := c.received + size; at < c.sent; at += size {
		if c.isAt(data, at) {
			e.lose(c, int((at-c.received)/size))
			c.lastCame = now
			return false
		}
	}
	return false // it is a mismatch
}

// isAt reports whether data is what is at a position of the stream.
func (c *conn) isAt(data []byte, pos int64) bool {
	return pos+int64(len(data)) <= c.sent &&
		bytes.Equal(data, contest.Pattern(c.origin+pos, len(data)))
}

// lose takes count datagrams off what is under way.
func (e *echoer) lose(c *conn, count int) {
	for range count {
		c.pop()
	}
	c.received += int64(count * e.opts.Size)
	e.underway -= count
	e.out.Lost += int64(count)
	e.sendAgain(c, count)
}

// giveUp gives up what has been under way for too long.
func (e *echoer) giveUp(now int64) {
	if now < e.nextLook {
		return
	}
	e.nextLook = now + int64(lossAfter)/4
	for i := range e.conns {
		c := &e.conns[i]
		count := int((c.sent - c.received) / int64(e.opts.Size))
		if count == 0 || now-max(c.lastCame, c.oldest()) < int64(lossAfter) {
			continue
		}
		c.givenUp, c.givenUpEnd = c.received, c.sent
		e.lose(c, count)
	}
}
