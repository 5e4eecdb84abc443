package iouring

import (
	"github.com/sluice-net/sluice/loop/internal/sys"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/uring"
)

// armWaker has the ring tell of writes to the waker's eventfd.
func (e *engine) armWaker() {
	sqe := e.ring.SQE()
	if sqe == nil {
		e.wakerDue = true
		return
	}
	e.wakerDue = false
	sqe.PrepRead(e.waker.FD(), e.wakeBuf[:], 0)
	sqe.SetUserData(pack(kindWake, 0, 0))
}

// fatal passes on an error that the ring does not survive. That the time is up is
// none, nor that the kernel is too busy to take more before completions are
// reaped, which is what happens next.
func fatal(err error) error {
	switch err {
	case nil, uring.ErrTimeout, uring.ErrBusy:
		return nil
	}
	return err
}

// senderName decodes the address that the kernel wrote in front of a datagram.
func senderName(raw []byte, n uint32) transport.Addr {
	var a sys.Sockaddr
	a.Load(raw[:min(n, uint32(len(raw)))])
	return a.Addr()
}
