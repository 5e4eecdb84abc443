package load

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/sluice-net/sluice/bench/internal/contest"
)

// A churner connects, sends one message, takes it back and closes, on Conns connections
// at a time. A message is a connection, and its time is counted from before it was made.
// The client closes first, as most do, so that TIME_WAIT is on its side.
type churner struct {
	*Pool
	underway int
	closed   []*conn // to be made anew when all events of a round were looked at
}

func newChurner(p *Pool) *churner {
	c := &churner{Pool: p, closed: make([]*conn, 0, len(p.conns))}
	for i := range p.conns {
		p.conns[i].stamps = make([]int64, 1)
	}
	return c
}

func (h *churner) start(int64) {
	h.closed = h.closed[:0]
	for i := range h.conns {
		h.closed = append(h.closed, &h.conns[i])
	}
}

func (h *churner) pace(now int64) {
	for _, c := range h.closed {
		if h.err == nil && h.mayStart(now) {
			h.check(h.begin(c))
		}
	}
	h.closed = h.closed[:0]
}

func (h *churner) finished(now int64) bool { return h.underway == 0 && !h.mayStart(now) }

// begin makes a connection and sends the message on it.
func (h *churner) begin(c *conn) (err error) {
	c.push(h.now())
	if c.fd, err = h.target.connect(unix.SOCK_STREAM, 0); err != nil {
		return err
	}
	h.underway++
	h.worked = true
	e := unix.EpollEvent{Fd: int32(c.index), Events: unix.EPOLLIN | unix.EPOLLRDHUP}
	if err := unix.EpollCtl(h.epoll, unix.EPOLL_CTL_ADD, c.fd, &e); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	c.sent, c.received = 0, 0
	for c.sent < int64(h.opts.Size) {
		n, err := c.send(contest.Pattern(c.origin+c.sent, h.opts.Size-int(c.sent)))
		if err != nil {
			return err
		}
		c.sent += int64(n)
	}
	return nil
}

func (h *churner) ready(c *conn, _ uint32) error {
	n, err := c.recv(h.buf[:h.opts.Size], 0)
	if n == 0 {
		return err
	}
	return h.arrived(c, h.buf[:n])
}

func (h *churner) arrived(c *conn, data []byte) error {
	if c.received+int64(len(data)) > c.sent {
		return c.excess(c.sent)
	}
	if err := c.compare(data); err != nil {
		return err
	}
	h.worked = true
	if c.received += int64(len(data)); c.received < c.sent {
		return nil
	}
	unix.Close(c.fd)
	c.fd = 0
	h.underway--
	h.out.Messages++
	h.out.Bytes += c.received
	stamp := c.pop()
	if h.slice.Latency != nil {
		h.slice.Latency.RecordValue(h.now() - stamp)
	}
	h.closed = append(h.closed, c)
	return nil
}
