package simio

import (
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// What an engine may not tell of an operation, whatever the kernel has told the engine.

// Cancel implements proactor.Proactor.
func (d *Driven) Cancel(op *proactor.Op) {
	d.within(func() {
		for _, x := range d.a.flying {
			if x.op == op {
				x.cancelled = true
			}
		}
	})
	d.Proactor.Cancel(op)
}

// checkResult panics where a result is none of those that the contract has: part of a
// send that nobody cancelled, a connection that is none, or what an engine has to meet itself.
func (x *audited) checkResult(op *proactor.Op) {
	switch errno := op.Errno(); {
	case op.Once && errno == syscall.EAGAIN:
		return
	case errno == syscall.EINTR || errno == syscall.EINPROGRESS,
		errno == syscall.EAGAIN && x.code != proactor.Connect:
		x.a.blame(x.fd, "%s on fd %d ends with %v", x.code, x.fd, errno)
	case errno != 0 || x.cancelled:
		return
	}
	total := 0
	for _, b := range x.sent() {
		total += len(b)
	}
	switch x.code {
	case proactor.Connect:
		if f := x.a.d.m.open(x.fd); f != nil && f.stage != connected {
			f.blame("connect of fd %d is told as a success", x.fd)
		}
	case proactor.Send, proactor.SendMsg:
		if int(op.Res) != total && !op.Once {
			x.a.blame(x.fd, "%s on fd %d of %d bytes ends with %d, and nobody cancelled it",
				x.code, x.fd, total, op.Res)
		}
	}
}
