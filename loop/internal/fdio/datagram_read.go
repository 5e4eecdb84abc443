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

// arm begins to receive, unless something prevents it or the endpoint backs off.
func (d *Datagram) arm() {
	if d.recvBackoff == nil {
		d.endpoint.arm()
	}
}

// uncut drops data that may be one datagram or several: the control message that would
// say so found no room, because of others that somebody turned on with a socket option.
// The operation then counts as failed, of which the protocol is told, and from then on
// datagrams come one by one.
func (d *Datagram) uncut() {
	const errno = syscall.EMSGSIZE
	if d.engine.SetOption(d.recv.FD, proactor.Coalesce, 0) == nil {
		d.host.Fallback("UDP_GRO", fmt.Errorf("%w: an option of the socket takes the room "+
			"of control messages; the endpoint goes on without",
			os.NewSyscallError("recvmsg", errno)))
	}
	d.recv.Res, d.recv.Data = -int32(errno), nil
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
		d.holdRest(a)
	}
}
