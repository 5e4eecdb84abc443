package fdio

import (
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// Connector connects one socket.
//
//	connecting --connected--> done(0)
//	connecting --error | Cancel--> done(errno), the descriptor closed
type Connector struct {
	engine proactor.Proactor
	op     proactor.Op
	to     proactor.Message
	done   func(errno syscall.Errno)
	cancel bool
}

// NewConnector connects fd, which it owns until done(0) is called on the loop.
// With any other errno the descriptor has been closed.
func NewConnector(engine proactor.Proactor, fd int, addr transport.Addr,
	done func(errno syscall.Errno)) *Connector {
	c := &Connector{engine: engine, done: done}
	c.op.Code, c.op.FD, c.op.Handler = proactor.Connect, fd, c
	c.op.Message, c.to.Addr = &c.to, addr
	c.engine.Submit(&c.op)
	return c
}

// FD returns the descriptor that is being connected.
func (c *Connector) FD() int { return c.op.FD }

// Cancel gives up. done is still called, with ECANCELED even if the connection was made
// just before.
func (c *Connector) Cancel() {
	c.cancel = true
	c.engine.Cancel(&c.op)
}

// Complete implements proactor.Handler.
func (c *Connector) Complete(op *proactor.Op) {
	errno := op.Errno()
	if c.cancel {
		errno = syscall.ECANCELED
	}
	if errno != 0 {
		// There was never a connection, so nobody needs to know of an error here.
		_ = c.engine.CloseFD(op.FD)
	}
	c.done(errno)
}
