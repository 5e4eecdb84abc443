package fdio

import (
	"net"
	"os"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// readErrors passes on the network's answers to datagrams, which the kernel keeps in the
// socket's error queue, and reports whether there were any. It reads the queue to its
// end: as long as something is in it, the socket counts as ready, and epoll reports it
// again and again. The queue is checked after every error, because the socket's maker may
// have turned the option on; if something is found, the option counts as on from then on.
// A Unix socket has no such queue, and would return a datagram.
func (d *Datagram) readErrors() (found bool) {
	for d.state < Lost && !d.unix {
		q, ok := d.engine.TakeError(d.recv.FD)
		if !ok {
			break
		}
		d.recvErr = true
		if !q.Local { // a failed call has reported its error itself
			found = true
			d.errorReceived(d.icmpError(q))
		}
	}
	return found
}

// icmpError returns what ErrorReceived gets for a message of the error queue.
func (d *Datagram) icmpError(q proactor.QueuedError) error {
	e := &net.OpError{Op: "write", Net: "udp", Source: d.local, Addr: d.peer}
	if !q.Dest.IsZero() {
		e.Addr = NetAddr(q.Dest, proactor.IPv6, proactor.Datagram)
	}
	e.Err = &transport.ICMPError{Offender: q.Offender, V6: q.V6, Type: q.Type, Code: q.Code,
		Info: q.Info, Err: os.NewSyscallError("recvmsg", q.Errno)}
	return e
}
