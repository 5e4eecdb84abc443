package fdio

import (
	"syscall"
	"time"

	"github.com/sluice-net/sluice/loop/internal/debug"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// The receiving half of an endpoint.
//
//	idle --arm--> armed --final completion--> idle
//	armed, paused: completions are held back in order; the first one cancels the
//	receive, so that no more than the engine had already taken is held
//	armed --no memory--> lull --lullTime--> armed

// lullTime is how long an endpoint waits for the kernel to have memory again.
const lullTime = 10 * time.Millisecond

// heldPacket is a completion that was held back.
type heldPacket struct {
	data      []byte // a copy
	addr      transport.Addr
	truncated bool
	errno     syscall.Errno
}

// arm begins to receive where nothing speaks against it.
func (d *Datagram) arm() {
	if d.readable() && !d.recv.InFlight() && len(d.held) == 0 && d.lull == nil {
		d.engine.Submit(&d.recv)
	}
}

// readable reports whether datagrams may be passed to the protocol.
func (d *Datagram) readable() bool { return d.state == Open && !d.paused }

// received takes a completion of the receive. What comes after Close is dropped.
func (d *Datagram) received() {
	op := &d.recv
	d.pub.received(op)
	more, errno := op.More, op.Errno()
	switch {
	case d.state != Open || errno == syscall.ECANCELED:
	case d.paused || len(d.held) > 0:
		d.hold(op)
	case errno != 0:
		d.receiveFailed(errno)
	default:
		d.pass(op.Data, op.Addr, op.Truncated)
		d.poison(op.Data)
	}
	if !more {
		d.arm()
	}
}

// hold keeps a completion for later and stops receiving.
func (d *Datagram) hold(op *proactor.Op) {
	d.held = append(d.held, heldPacket{addr: op.Addr, truncated: op.Truncated,
		data: append([]byte(nil), op.Data...), errno: op.Errno()})
	d.publishHeld()
	d.engine.Cancel(op)
}

// pass gives a datagram to the protocol. Of one that was too long the protocol is
// told, so that it does not take the beginning for the whole.
func (d *Datagram) pass(data []byte, from transport.Addr, truncated bool) {
	if truncated {
		d.errorReceived(&transport.TruncatedError{Data: data, Addr: from})
		return
	}
	d.datagramReceived(data, from)
}

// receiveFailed tells the protocol of an error, after which receiving goes on.
// Only what says that this is no socket at all ends the endpoint.
func (d *Datagram) receiveFailed(errno syscall.Errno) {
	err := opError("read", "recvmsg", errno, d.local, d.peer)
	switch errno {
	case syscall.EBADF, syscall.ENOTSOCK, syscall.EINVAL, syscall.EFAULT, syscall.EOPNOTSUPP:
		d.note("Fatal read error on datagram transport", "err", err)
		d.lose(err)
		return
	case syscall.ENOMEM, syscall.ENOBUFS:
		d.lull = d.host.After(lullTime, func() {
			d.lull = nil
			d.arm()
		})
	}
	d.errorReceived(err)
}

// deliverHeld passes on what was held back, one at a time: any of them may lead
// to a pause. It runs as a task, never from inside ResumeReading.
func (d *Datagram) deliverHeld() {
	for len(d.held) > 0 && d.readable() {
		h := d.held[0]
		d.held = d.held[1:]
		d.publishHeld()
		if h.errno != 0 {
			d.receiveFailed(h.errno)
			continue
		}
		d.pass(h.data, h.addr, h.truncated)
		d.poison(h.data)
	}
	if len(d.held) == 0 {
		d.held = nil
	}
	d.arm()
}

// IsReading implements transport.ReadTransport.
func (d *Datagram) IsReading() bool { return d.state <= Open && !d.paused }

// PauseReading implements transport.ReadTransport. A receive in flight goes on;
// what it brings is held back and ends it.
func (d *Datagram) PauseReading() {
	d.host.Check()
	if d.state > Open || d.paused {
		return
	}
	d.note("pauses reading")
	d.paused = true
	d.pub.page.PauseReading(d.pub.slot)
}

// ResumeReading implements transport.ReadTransport.
func (d *Datagram) ResumeReading() {
	d.host.Check()
	if d.state > Open || !d.paused {
		return
	}
	d.note("resumes reading")
	d.paused = false
	d.pub.page.ResumeReading(d.pub.slot)
	if d.state == Open {
		d.schedule()
	}
}

// poison overwrites bytes that the protocol has seen and must not look at again,
// in debug mode and in checked builds.
func (d *Datagram) poison(data []byte) {
	if debug.On || d.debug.Load() {
		debug.Overwrite(data)
	}
}
