package load

import (
	"errors"
	"math/bits"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/sluice-net/sluice/uring"
)

// ringNeeds is what the load cannot do without on io_uring: in effect Linux 6.1.
var ringNeeds = [...]string{uring.FeatureSetup, uring.FeatureExtArg, uring.FeatureSubmitAll,
	uring.FeatureDeferTaskrun, uring.FeatureCQESkip, uring.FeatureBufRing,
	uring.FeatureRecvMultishot}

// Uring returns nil if the load is made on io_uring, else why it is not.
func Uring() error { return uring.ProbeOnce().Missing(ringNeeds[:]...) }

const (
	ringEntries   = 2048
	ringCQEntries = 4 * ringEntries
	ringBuffers   = 64 // enough: a turn brings some twenty completions
	ringBufferMin = 4 << 10
	ringBufferMax = 64 << 10
	ringGroup     = 0
)

// What a completion is of, in the upper half of its user data; the lower half is
// the connection's index.
const (
	ofRecv uint64 = iota << 32
	ofSend
)

// sending is where the output of a connection on a ring is.
//
//	idle --owe--> owing --give--> idle             the kernel has taken all of it
//	              owing --give, short--> waiting   the socket is full
//	              waiting --the rest is sent--> idle | owing
type sending uint8

const (
	idle sending = iota
	owing
	waiting
)

// A ring reads from and writes to the connections of a pool by io_uring: a
// multishot receive each, into provided buffers, and all sends of a round in the
// system call that fetches the next completions.
//
// A send says MSG_DONTWAIT and posts a completion only if the socket did not take
// all of it; then the rest is sent by one that waits. So what give has handed
// over is done when the kernel returns, unless a completion says otherwise; and
// completions are all looked at before the next give.
type ring struct {
	pool    *Pool
	ring    *uring.Ring
	buffers *uring.BufRing
	owing   []*conn // connections that owe, each once
	blocked []*conn // connections that are to wait for room
	unarmed []*conn // connections that do not receive

	// table says that the ring holds the sockets in a table of its own, by the index
	// of their connection, and nobody has a descriptor of them.
	table bool
}

// errNoRoom says that a datagram was not sent. On a loopback device the receiver's
// buffer is the limit, not the sender's.
var errNoRoom = errors.New("load: a socket has no room for a datagram")

// newRing receives on all connections of p from the next turn on. The calling
// thread is the ring's from now on.
func newRing(p *Pool) (*ring, error) {
	r := &ring{pool: p, owing: make([]*conn, 0, len(p.conns)),
		blocked: make([]*conn, 0, len(p.conns)), unarmed: make([]*conn, 0, len(p.conns))}
	var err error
	r.ring, err = uring.New(ringEntries, &uring.Options{CQEntries: ringCQEntries})
	if err != nil {
		return nil, err
	}
	r.buffers, err = r.ring.RegisterBufRingWith(ringGroup, uring.BufRingOptions{
		Count: ringBuffers, Size: ringBuffer(p.opts), Start: ringBuffers})
	if err != nil {
		r.ring.Close()
		return nil, err
	}
	for i := range p.conns {
		r.unarmed = append(r.unarmed, &p.conns[i])
	}
	if p.opts.InTable() {
		if err := r.takeOver(); err != nil {
			r.ring.Close()
			return nil, err
		}
	}
	return r, nil
}

// takeOver moves the sockets into the ring's table and closes their descriptors: of
// some loads there are so many that those of all contestants together are more than
// a process may have.
func (r *ring) takeOver() error {
	conns := r.pool.conns
	if err := r.ring.RegisterFiles(len(conns)); err != nil {
		return err
	}
	fds := make([]int32, len(conns))
	for i := range conns {
		fds[i] = int32(conns[i].fd)
	}
	if err := r.ring.UpdateFiles(0, fds); err != nil {
		return err
	}
	for i := range conns {
		conns[i].closeByReset() // which it is when the ring lets go of it
		conns[i].fd = 0
	}
	r.table = true
	return nil
}

// flags are those of an operation on a socket, and more.
func (r *ring) flags(more uint8) uint8 {
	if r.table {
		more |= uring.FixedFile
	}
	return more
}

// socket is c's descriptor, or its place in the table.
func (r *ring) socket(c *conn) int {
	if r.table {
		return c.index
	}
	return c.fd
}

// ringBuffer is the size of a receive buffer: room for what a connection can have
// under way, within bounds. Small ones stay in the cache.
func ringBuffer(o Options) int {
	want := 1 << bits.Len(uint(max(o.Size, 1)*max(o.Depth, 1)))
	return min(max(want, ringBufferMin), ringBufferMax)
}

func (r *ring) close() { r.ring.Close() }

// owe notes that c has something to be sent.
func (r *ring) owe(c *conn) {
	if c.onRing == idle {
		c.onRing = owing
		r.owing = append(r.owing, c)
	}
}

// turn hands over what is owed and lets the driver see what came.
func (r *ring) turn() error {
	if err := r.arm(); err != nil {
		return err
	}
	if err := r.giveAll(); err != nil {
		return err
	}
	if err := r.wait(); err != nil {
		return err
	}
	if err := r.enter(); err != nil {
		return err
	}
	r.reap()
	return nil
}

// enter makes the system call of a turn, if one is due. It sleeps where the load
// may; but not with a rate, which has to look at the time.
func (r *ring) enter() error {
	if p := r.pool; p.opts.Sleep && p.opts.Rate == 0 {
		_, err := r.ring.SubmitAndWait(1, napMax)
		if errors.Is(err, uring.ErrTimeout) {
			return nil
		}
		return passing(err)
	}
	if r.pool.opts.Sleep {
		runtime.Gosched()
	}
	if r.ring.Pending() == 0 && !r.ring.TaskrunPending() && !r.ring.Overflowed() {
		return nil
	}
	_, err := r.ring.EnterNB()
	return passing(err)
}

// passing makes nothing of an error that says "again".
func passing(err error) error {
	if errors.Is(err, uring.ErrBusy) {
		return nil
	}
	return err
}

// arm has the kernel receive on the connections that it does not.
func (r *ring) arm() error {
	for _, c := range r.unarmed {
		sqe, err := r.entry()
		if err != nil {
			return err
		}
		sqe.PrepRecvMultishot(r.socket(c), ringGroup, 0)
		sqe.SetFlags(r.flags(0))
		sqe.SetUserData(ofRecv | uint64(c.index))
	}
	r.unarmed = r.unarmed[:0]
	return nil
}

// giveAll has each connection that owes send one chunk. What has more to send has
// its turn again in the next round.
func (r *ring) giveAll() error {
	rest := r.owing[:0]
	for _, c := range r.owing {
		if c.onRing == waiting {
			continue
		}
		c.onRing = idle
		if err := r.give(c); err != nil {
			return err
		}
		if c.owed > 0 {
			c.onRing = owing
			rest = append(rest, c)
		}
	}
	r.owing = rest
	return nil
}

// give has c send a chunk, or all the datagrams that it owes.
func (r *ring) give(c *conn) error {
	for {
		if err := r.pool.refill(c); err != nil || len(c.out) == 0 {
			return err
		}
		sqe, err := r.entry()
		if err != nil {
			return err
		}
		sqe.PrepSend(r.socket(c), c.out,
			unix.MSG_DONTWAIT|unix.MSG_WAITALL|unix.MSG_NOSIGNAL)
		sqe.SetFlags(r.flags(uring.CQESkipSuccess))
		sqe.SetUserData(ofSend | uint64(c.index))
		c.given, c.out = c.out, nil
		if !r.pool.opts.Datagrams {
			return nil
		}
	}
}

// entry returns a submission entry, after handing over those that there are if
// the queue is full.
func (r *ring) entry() (*uring.SQE, error) {
	for {
		if sqe := r.ring.SQE(); sqe != nil {
			return sqe, nil
		}
		if _, err := r.ring.Submit(); passing(err) != nil {
			return nil, err
		}
	}
}

// reap looks at the completions that are there.
func (r *ring) reap() {
	for c := r.ring.Peek(); c != nil; c = r.ring.Peek() {
		cqe := *c
		r.ring.Advance(1)
		conn := &r.pool.conns[uint32(cqe.UserData)]
		if cqe.UserData>>32 == ofSend>>32 {
			r.pool.check(r.fellShort(conn, cqe))
		} else {
			r.pool.check(r.received(conn, cqe))
		}
	}
	r.buffers.Advance()
}

func (r *ring) received(c *conn, cqe uring.CQE) error {
	if cqe.HasBuffer() {
		defer r.buffers.Add(cqe.BufID())
	}
	if !cqe.More() {
		r.unarmed = append(r.unarmed, c)
	}
	switch errno := cqe.Errno(); {
	case errno == unix.ENOBUFS || errno == unix.EINTR || errno == unix.EAGAIN:
		return nil
	case errno != 0:
		return os.NewSyscallError("recv", errno)
	case cqe.Res == 0:
		return errClosed
	}
	return r.pool.driver.arrived(c, r.buffers.Buffer(cqe.BufID())[:cqe.Res])
}

// fellShort takes back what a send has left. Nothing is handed over before all
// completions were looked at, so that no two sends of a connection are under way.
func (r *ring) fellShort(c *conn, cqe uring.CQE) error {
	sent := int(cqe.Res)
	switch errno := cqe.Errno(); {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		sent = 0
	case errno != 0:
		return os.NewSyscallError("send", errno)
	}
	if r.pool.opts.Datagrams { // others may have gone out behind it
		return errNoRoom
	}
	c.out, c.given = c.given[sent:], nil
	if len(c.out) == 0 { // of one that waited
		c.onRing = idle
		if c.owed > 0 {
			r.owe(c)
		}
		return nil
	}
	c.onRing = waiting
	r.blocked = append(r.blocked, c)
	return nil
}

// wait has the kernel send what the sockets had no room for, when they have.
func (r *ring) wait() error {
	for _, c := range r.blocked {
		sqe, err := r.entry()
		if err != nil {
			return err
		}
		sqe.PrepSend(r.socket(c), c.out, unix.MSG_WAITALL|unix.MSG_NOSIGNAL)
		sqe.SetFlags(r.flags(0))
		sqe.SetIoprio(uring.RecvSendPollFirst)
		sqe.SetUserData(ofSend | uint64(c.index))
		c.given, c.out = c.out, nil
	}
	r.blocked = r.blocked[:0]
	return nil
}
