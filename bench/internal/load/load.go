// Package load makes servers work. It is written to be cheaper than any of
// them, because it shall not be what limits them: one thread, no allocation, and
// no scheduler: it makes every system call without telling the Go runtime, except
// where it is asked to sleep.
//
// Messages that come back go over io_uring, all of a round's with one system
// call, or where the kernel lacks what that needs over raw sockets and
// edge-triggered epoll. What goes one way is sent by sendfile and dropped by
// MSG_TRUNC, which copy nothing, and always uses epoll.
package load

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"

	"github.com/sluice-net/sluice/bench/internal/contest"
)

// A Kind is what the load does.
type Kind uint8

// The kinds.
const (
	// Echo sends messages and expects them back: Depth of them are under way
	// on each connection, or as many as Rate asks for.
	Echo Kind = iota

	// Upload sends blocks of contest.BlockSize and expects nothing.
	Upload

	// Download grants credit for messages of Size and takes them.
	Download

	// Relay is Upload to a proxy and takes what comes out of it at Backend.
	Relay

	// FanOut asks for a message of Size to all connections, with one byte on one
	// of them, and for the next when all have it.
	FanOut

	// Churn makes a connection for each message, which the server sends back.
	Churn

	// HTTP sends requests and takes the answers, one on each connection at a time.
	HTTP
)

// Options say what load to make.
type Options struct {
	Kind  Kind    // what to do
	Conns int     // connections
	Size  int     // bytes of an Echo, Download or FanOut message
	Depth int     // messages under way on each connection; Download: 0 for as many as are good
	Rate  float64 // Echo messages a second, over all connections; 0: as many as go

	// Poisson draws the times between the messages of a Rate, and the connections that
	// they go on, as those of clients that know nothing of each other.
	Poisson bool

	// Datagrams sends each Echo message as a UDP datagram: the connections are
	// connected UDP sockets, and Size is what fits into one. One that does not come
	// back is lost, and another is sent instead.
	Datagrams bool

	// TLS sends each Echo message in a record of its own, after a handshake that
	// Dial makes.
	TLS bool

	// Sleep lets the load wait in the kernel when there is nothing to do.
	// Without it the load spins: it has a CPU of its own, and what is measured
	// does not depend on how fast it wakes up.
	Sleep bool

	// Epoll makes the load without io_uring, also where there is one.
	Epoll bool

	// Backend is where the proxy of a Relay connects to.
	Backend *Backend

	// Received tells how many bytes the server has taken. For Upload.
	Received func() int64
}

// ErrStuck is the error of Run where nothing came for five seconds.
var ErrStuck = errors.New("load: the server has stopped answering")

const (
	stuckAfter = 5 * time.Second
	bufferSize = contest.ChunkMax
	eventsMax  = 256
	napMax     = 10 * time.Millisecond
)

// A Slice is one turn of load.
type Slice struct {
	Time time.Duration // for how long new messages are started

	// Warm is for how long they are before that. If it is not 0, Mark is called when
	// Warm is over and when Time is, and the Outcome is of what was between the two
	// calls. Only of what goes one way.
	Warm time.Duration
	Mark func()

	// Verify has every byte of a Download or a Relay compared, not only windows of
	// them. Echo and FanOut compare every byte in any case, and of an Upload the
	// server sees what came: contest.Page.Verify.
	Verify bool

	// Latency gets the nanoseconds of each message's way; nil for none.
	Latency *hdrhistogram.Histogram
}

// An Outcome is what a Slice brought. It counts whole messages; none is under
// way any more.
type Outcome struct {
	Messages int64         // that arrived
	Bytes    int64         // in one direction
	Elapsed  time.Duration // until the last message had arrived
	Busy     time.Duration // of it, the time in which the load ran and had something to do
	Lost     int64         // datagrams
	Late     int64         // with Rate: messages that were never sent for lack of time
}

// A Pool is a set of connections to one server. It is for one goroutine, which
// must be locked to its thread.
type Pool struct {
	opts   Options
	ring   *ring // nil: epoll
	epoll  int
	file   *os.File // what Upload and Relay send from
	target target
	conns  []conn
	events []unix.EpollEvent
	buf    []byte
	driver driver
	clock  time.Time
	random uint64 // from which gaps are drawn

	// What follows is of the current slice.

	slice    Slice
	deadline int64 // nanoseconds since clock
	peak     int   // Echo messages under way at most, in all slices
	moved    int64 // when bytes last moved
	worked   bool  // bytes moved in this round
	out      Outcome
	err      error
}

// A driver is the part of a load that depends on its kind.
type driver interface {
	start(now int64)
	ready(c *conn, events uint32) error // epoll has events
	arrived(c *conn, data []byte) error // the ring has data
	pace(now int64)
	finished(now int64) bool
}

// Dial connects a pool to the server at addr. Close it.
func Dial(addr string, opts Options) (*Pool, error) {
	to, err := parseTarget(addr)
	if err != nil {
		return nil, err
	}
	p := &Pool{opts: opts, epoll: -1, clock: time.Now(), target: to}
	if err := p.open(); err != nil {
		p.Close()
		return nil, fmt.Errorf("connect the load to %s: %w", addr, err)
	}
	switch opts.Kind {
	case Upload:
		p.driver = newUploader(p)
	case Download:
		p.driver = newDownloader(p)
	case Relay:
		p.driver = newRelayer(p)
	case FanOut:
		p.driver = newFanner(p)
	case Churn:
		p.driver = newChurner(p)
	case HTTP:
		p.driver = newAsker(p)
	default:
		p.driver = newEchoer(p)
	}
	return p, nil
}

// Close closes the connections by a reset, which leaves no port in TIME_WAIT.
func (p *Pool) Close() {
	if p.ring != nil { // first, because it holds the sockets open
		p.ring.close()
		p.ring = nil
	}
	for i := range p.conns {
		p.conns[i].closeByReset()
	}
	if p.epoll >= 0 {
		unix.Close(p.epoll)
	}
	if p.file != nil {
		p.file.Close()
	}
	p.conns, p.epoll, p.file = nil, -1, nil
}

// Run makes load for one slice, and returns when all that was sent has arrived.
// After an error the pool is of no more use.
func (p *Pool) Run(s Slice) (Outcome, error) {
	p.slice, p.out, p.err = s, Outcome{}, nil
	began, ran := p.now(), threadTime()
	p.deadline, p.moved = began+int64(s.Warm+s.Time), began
	var middle span
	p.driver.start(began)
	now, idle := began, int64(0)
	for p.err == nil && !p.driver.finished(now) {
		p.worked = false
		p.look(&middle, now, idle)
		p.driver.pace(now)
		if err := p.turn(); err != nil {
			return p.out, err
		}
		last := now
		now = p.now()
		if p.worked {
			p.moved = now
			continue
		}
		idle += now - last
		if now-p.moved > int64(stuckAfter) && now > p.deadline {
			p.check(ErrStuck)
		}
	}
	if s.Warm > 0 && p.err == nil {
		for middle.state != spanAfter { // a turn can take longer than a short slice
			p.look(&middle, max(now, p.deadline), idle)
		}
		return middle.outcome(p.opts.Size), nil
	}
	p.out.Elapsed = time.Duration(p.now() - began)
	// Less than this thread ran, where it had to share its CPU.
	p.out.Busy = min(p.out.Elapsed-time.Duration(idle), threadTime()-ran)
	return p.out, p.err
}

// turn lets the driver see what has happened on the connections.
func (p *Pool) turn() error {
	if p.ring != nil {
		return p.ring.turn()
	}
	n, err := p.wait()
	for i := range n {
		e := &p.events[i]
		p.check(p.driver.ready(&p.conns[e.Fd], e.Events))
	}
	return err
}

// Peak is how many Echo messages were under way at once at most, so far.
func (p *Pool) Peak() int { return p.peak }

// check keeps the first error of a slice.
func (p *Pool) check(err error) {
	if p.err == nil {
		p.err = err
	}
}

// threadTime returns for how long the calling thread has run.
func threadTime() time.Duration {
	var ts unix.Timespec
	unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts)
	return time.Duration(ts.Nano())
}

// now returns the nanoseconds since the pool was made.
func (p *Pool) now() int64 { return int64(time.Since(p.clock)) }

// mayStart reports whether new messages may be started.
func (p *Pool) mayStart(now int64) bool { return now < p.deadline }
