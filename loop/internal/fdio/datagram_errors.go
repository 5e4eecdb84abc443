package fdio

import (
	"net"
	"os"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// readErrors passes on what the network answered to datagrams, which the kernel
// keeps in the socket's error queue, and reports whether there was any. It reads
// the queue to its end: as long as there is something in it, the socket counts as
// ready, and epoll says so again and again. So it is looked at after every error,
// because the socket's maker may have turned the option on; where there is something
// it is on from now on. A Unix socket has no queue, and would give a datagram.
func (d *Datagram) readErrors() (found bool) {
	for d.state < Lost && !d.unix {
		q, ok := d.engine.TakeError(d.fd)
		if !ok {
			break
		}
		d.recvErr = true
		if !q.Local { // what a call failed with, it told itself
			found = true
			d.errorReceived(d.icmpError(q))
		}
	}
	return found
}

// icmpError is what ErrorReceived is told of a message of the error queue.
func (d *Datagram) icmpError(q proactor.QueuedError) error {
	e := &net.OpError{Op: "write", Net: "udp", Source: d.local, Addr: d.peer}
	if !q.Dest.IsZero() {
		e.Addr = NetAddr(q.Dest, proactor.IPv6, proactor.Datagram)
	}
	e.Err = &transport.ICMPError{Offender: q.Offender, V6: q.V6, Type: q.Type, Code: q.Code,
		Info: q.Info, Err: os.NewSyscallError("recvmsg", q.Errno)}
	return e
}
