package load

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sluice-net/sluice/bench/internal/contest"
)

// A conn is one connection and how far its two streams are.
type conn struct {
	fd       int
	index    int    // in the pool
	sent     int64  // bytes written, out included
	received int64  // bytes read
	origin   int64  // where in the pattern its streams begin
	gap      int    // bytes until the next window is compared
	owed     int    // bytes to be written after out
	out      []byte // being written
	again    int    // messages that are back, to be sent again
	part     []byte // of HTTP: of an answer

	// Of datagrams: when one came last, and those that were given up, whose bytes are
	// from givenUp to givenUpEnd of the stream.
	lastCame            int64
	givenUp, givenUpEnd int64

	tls    *tlsEnd // nil: the bytes are sent as they are
	given  []byte  // on a ring: what the kernel is sending
	onRing sending

	// stamps is a ring of when the messages under way were due, in
	// nanoseconds: from head to tail. Its length is a power of two.
	stamps     []int64
	head, tail uint32
}

// closeByReset closes the descriptor, if there is one. With the last descriptor the
// connection goes, by a reset.
func (c *conn) closeByReset() {
	if c.fd > 0 {
		unix.SetsockoptLinger(c.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		unix.Close(c.fd)
	}
}

func (c *conn) full() bool       { return int(c.tail-c.head) == len(c.stamps) }
func (c *conn) push(stamp int64) { c.stamps[c.tail&uint32(len(c.stamps)-1)] = stamp; c.tail++ }
func (c *conn) oldest() int64    { return c.stamps[c.head&uint32(len(c.stamps)-1)] }
func (c *conn) pop() int64 {
	stamp := c.oldest()
	c.head++
	return stamp
}

// portsOfOneAddress is how many connections to one server are made from one
// address: fewer than there are ephemeral ports by default.
const portsOfOneAddress = 20000

// open makes the sockets and what watches them.
func (p *Pool) open() error {
	n := p.opts.Conns
	if p.opts.Kind == Relay {
		n *= 2 // the other ends, in the same order
	}
	p.conns = make([]conn, n)
	var plain []byte // shared: it holds a record for as long as that is looked at
	if p.opts.TLS {
		plain = make([]byte, tlsPlain)
	}
	for i := range p.opts.Conns {
		if p.opts.Kind == Churn { // which connects when it is time
			p.conns[i].index, p.conns[i].origin = i, p.opts.origin(i)
			continue
		}
		fd, err := p.target.connect(p.opts.socketType(), i/portsOfOneAddress)
		if err != nil {
			return err
		}
		p.conns[i].fd, p.conns[i].index, p.conns[i].origin = fd, i, p.opts.origin(i)
		if p.opts.TLS {
			if p.conns[i].tls, err = newTLS(fd, plain); err != nil {
				return err
			}
		}
		if p.opts.Kind != Relay {
			continue
		}
		other := &p.conns[i+p.opts.Conns]
		other.index, other.origin = i+p.opts.Conns, p.opts.origin(i)
		if other.fd, err = p.opts.Backend.accept(); err != nil {
			return err
		}
	}
	if p.opts.OnRing() {
		// Where this fails, another contestant's load may have a ring: to go on
		// without one would compare what is not alike.
		var err error
		if p.ring, err = newRing(p); err != nil {
			return fmt.Errorf("io_uring for the load (see -epoll-load): %w", err)
		}
		return nil
	}
	p.buf = make([]byte, bufferSize)
	return p.watch()
}

// watch makes the epoll set. It is edge-triggered: every descriptor is added
// once and never touched again.
func (p *Pool) watch() (err error) {
	p.events = make([]unix.EpollEvent, eventsMax)
	if p.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if p.opts.Kind == Upload || p.opts.Kind == Relay {
		if p.file, err = contest.PatternInMemory(); err != nil {
			return err
		}
	}
	for i := range p.conns {
		if p.opts.Kind == Churn {
			break
		}
		e := unix.EpollEvent{Fd: int32(i),
			Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET}
		switch {
		case i >= p.opts.Conns:
			e.Events = unix.EPOLLIN
		case p.file != nil:
			// Level-triggered: who may be written to is asked in each round.
			e.Events = unix.EPOLLOUT
		}
		if err := unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, p.conns[i].fd, &e); err != nil {
			return os.NewSyscallError("epoll_ctl", err)
		}
	}
	return nil
}

// OnRing reports whether the load is made on io_uring.
func (o Options) OnRing() bool {
	return (o.Kind == Echo || o.Kind == FanOut || o.Kind == HTTP) && !o.Epoll && Uring() == nil
}

// tableMin is from how many connections on they are in a table of the ring.
const tableMin = 5000

// InTable reports whether the ring holds the sockets, so that the process needs
// descriptors for one contestant's at a time: those of all together are more than it
// may have.
func (o Options) InTable() bool {
	return o.OnRing() && (o.Kind == FanOut || o.Conns >= tableMin)
}

func (o Options) socketType() int {
	if o.Datagrams {
		return unix.SOCK_DGRAM
	}
	return unix.SOCK_STREAM
}

// wait returns how many events there are, after a nap if there are none and
// the load may sleep.
func (p *Pool) wait() (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epoll),
		uintptr(unsafe.Pointer(unsafe.SliceData(p.events))), eventsMax, 0, 0, 0)
	if errno != 0 {
		return 0, ignoreInterrupt("epoll_wait", errno)
	}
	if n > 0 || !p.opts.Sleep {
		return int(n), nil
	}
	return p.nap()
}

// nap waits for events in the kernel, but not beyond what pace has to do.
func (p *Pool) nap() (int, error) {
	length := napMax
	if p.opts.Rate > 0 || p.file != nil {
		length = 0
	}
	n, err := unix.EpollWait(p.epoll, p.events, int(length.Milliseconds()))
	if err != nil {
		return 0, ignoreInterrupt("epoll_wait", err.(unix.Errno))
	}
	return n, nil
}

// ignoreInterrupt makes nothing of EINTR: the Go runtime sends signals to
// threads that run for long.
func ignoreInterrupt(call string, errno unix.Errno) error {
	if errno == unix.EINTR {
		return nil
	}
	return os.NewSyscallError(call, errno)
}

// recv reads into buf. n is 0 where there is nothing to be read.
func (c *conn) recv(buf []byte, flags uintptr) (n int, err error) {
	r, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(c.fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf)),
		flags|unix.MSG_DONTWAIT, 0, 0)
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		return 0, nil
	case errno != 0:
		return 0, os.NewSyscallError("recvfrom", errno)
	case r == 0:
		return 0, errClosed
	}
	return int(r), nil
}

// send writes p. n is 0 where the socket is full.
func (c *conn) send(p []byte) (n int, err error) {
	r, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(c.fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)),
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	if errno == unix.EAGAIN || errno == unix.EINTR {
		return 0, nil
	}
	if errno != 0 {
		return 0, os.NewSyscallError("sendto", errno)
	}
	return int(r), nil
}

// sendFile writes n bytes of the pool's file from position pos on, without a
// copy.
func (c *conn) sendFile(file uintptr, pos int64, n int) (int, error) {
	r, _, errno := unix.RawSyscall6(unix.SYS_SENDFILE, uintptr(c.fd), file,
		uintptr(unsafe.Pointer(&pos)), uintptr(n), 0, 0)
	if errno == unix.EAGAIN || errno == unix.EINTR {
		return 0, nil
	}
	if errno != 0 {
		return 0, os.NewSyscallError("sendfile", errno)
	}
	return int(r), nil
}
