package fdio

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// The receiving half of an endpoint.
//
//	idle --arm--> armed --final completion--> idle
//	armed, paused: completions are held back in order; the first one cancels the
//	receive, so that no more than the engine had already taken is held
//	armed --no memory--> backing off --recvBackoffTime--> armed

// recvBackoffTime is how long an endpoint waits before it receives again after the kernel
// ran out of memory.
const recvBackoffTime = 10 * time.Millisecond

// received is the data of one completion: a datagram, or several from one sender.
type received struct {
	data    []byte
	addr    transport.Addr
	segment int // the size of each but the last; 0: it is one
	size    int // of all of it, more than there is data where that was truncated
}

// first removes the first datagram from p. size is its original length.
func (p *received) first() (data []byte, size int) {
	if p.segment == 0 || len(p.data) <= p.segment {
		data, size = p.data, p.size
		p.data, p.segment = nil, 0
		return data, size
	}
	data = p.data[:p.segment:p.segment]
	p.data, p.size = p.data[p.segment:], p.size-p.segment
	return data, p.segment
}

// arm begins to receive unless something prevents it.
func (d *Datagram) arm() {
	if d.readable() && !d.recv.InFlight() && len(d.held) == 0 && d.recvBackoff == nil {
		d.engine.Submit(&d.recv)
	}
}

// received handles a completion of the receive. What arrives after Close is dropped.
func (d *Datagram) received() {
	op := &d.recv
	d.pub.received(op)
	more, errno := op.More, op.Errno()
	switch {
	case d.state != Open || errno == syscall.ECANCELED:
	case op.Uncut && errno == 0:
		d.uncut()
	case d.holds() && errno != 0:
		d.hold(arrival{res: op.Res})
	case d.holds():
		d.hold(heldArrival(receivedOf(op)))
	case errno != 0:
		d.receiveFailed(errno)
	default:
		p := receivedOf(op)
		if d.pass(&p) {
			d.hold(heldArrival(p))
		}
	}
	if !more {
		d.arm()
	}
}

func receivedOf(op *proactor.Op) received {
	return received{data: op.Data, addr: op.Addr, segment: op.Segment, size: op.Size}
}

// heldArrival returns a copy of p, or of the rest of one, to be held back.
func heldArrival(p received) arrival {
	p.data = append([]byte(nil), p.data...)
	return arrival{p, int32(len(p.data))}
}

// uncut drops data that may be one datagram or several: the control message that would
// say so found no room, because of others that somebody turned on with a socket option.
// The protocol is told, and from then on datagrams come one by one.
func (d *Datagram) uncut() {
	const errno = syscall.EMSGSIZE
	if d.engine.SetOption(d.fd, proactor.Coalesce, 0) == nil {
		d.host.Fallback("UDP_GRO", fmt.Errorf("%w: an option of the socket takes the room "+
			"of control messages; the endpoint goes on without",
			os.NewSyscallError("recvmsg", errno)))
	}
	if d.holds() {
		d.hold(arrival{res: -int32(errno)})
		return
	}
	d.receiveFailed(errno)
}

// pass gives the datagrams of p to the protocol, each of which may pause or
// close. It reports whether some are left for later.
func (d *Datagram) pass(p *received) (left bool) {
	for {
		several := p.segment > 0 && len(p.data) > p.segment
		data, size := p.first()
		d.passOne(data, size, p.addr)
		d.guard.Poison(data)
		if !several || d.state != Open {
			return false
		}
		if d.paused {
			return true
		}
	}
}

// passOne gives a datagram to the protocol. If it was too long, the protocol is told so,
// lest it take the beginning for the whole.
func (d *Datagram) passOne(data []byte, size int, from transport.Addr) {
	if size > len(data) {
		d.errorReceived(&transport.TruncatedError{Data: data, Addr: from, Size: size})
		return
	}
	d.datagramReceived(data, from)
}

// receiveFailed tells the protocol of an error, after which receiving goes on. Only an
// error that says that the descriptor is not a socket ends the endpoint.
func (d *Datagram) receiveFailed(errno syscall.Errno) {
	if d.readErrors() || d.state >= Lost {
		return
	}
	err := d.endpoint.opError("read", "recvmsg", errno)
	switch errno {
	case syscall.EBADF, syscall.ENOTSOCK, syscall.EINVAL, syscall.EFAULT, syscall.EOPNOTSUPP:
		d.guard.Note("Fatal read error on datagram transport", "err", err)
		d.fail(err)
		return
	case syscall.ENOMEM, syscall.ENOBUFS:
		d.recvBackoff = d.host.After(recvBackoffTime, func() {
			d.recvBackoff = nil
			d.arm()
		})
	}
	d.errorReceived(err)
}

// deliver implements kind.
func (d *Datagram) deliver(a arrival) {
	if a.res < 0 {
		d.receiveFailed(syscall.Errno(-a.res))
	} else if d.pass(&a.received) {
		a.res = int32(len(a.data))
		d.holdRest(a)
	}
}
