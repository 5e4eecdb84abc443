package fdio

import (
	"os"
	"syscall"
	"time"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// retryAfter is how long a listener rests when the system is out of
// descriptors or memory. Retrying at once would spin: each attempt fails.
const retryAfter = time.Second

// Acceptor takes connections from one listening socket.
//
//	idle --Start--> accepting --EMFILE …--> resting --retryAfter--> accepting
//	                accepting | resting --Close--> closed
//
// An outage is reported once, and is over when a connection was accepted.
type Acceptor struct {
	host      Host
	engine    proactor.Proactor
	fd        int
	op        proactor.Op
	accept    func(fd int)
	backlog   int
	listening bool
	closed    bool
	buried    bool
	outage    bool
	timer     Timer
	done      func()
}

// NewAcceptor makes an acceptor of a bound descriptor, which it owns. accept is
// called on the loop with each new connection's descriptor.
func NewAcceptor(host Host, fd, backlog int, accept func(fd int)) *Acceptor {
	a := &Acceptor{host: host, engine: host.Engine(), fd: fd, backlog: backlog, accept: accept}
	a.op.Code, a.op.FD, a.op.Handler = proactor.Accept, fd, a
	return a
}

// FD is the listening descriptor.
func (a *Acceptor) FD() int { return a.fd }

// Start listens, which may fail with EADDRINUSE, and begins to accept. It does
// nothing when called again.
func (a *Acceptor) Start() error {
	if a.closed || a.listening {
		return nil
	}
	if err := a.engine.Listen(a.fd, a.backlog); err != nil {
		return err
	}
	a.listening = true
	a.resume()
	return nil
}

// resume accepts, after a rest too.
func (a *Acceptor) resume() {
	if !a.closed && !a.op.InFlight() {
		a.engine.Submit(&a.op)
	}
}

// Close stops accepting: whoever connects from now on is refused. The descriptor
// is closed when the engine has let go of it; done, which may be nil, is called
// then. Connections that are accepted meanwhile are closed.
func (a *Acceptor) Close(done func()) {
	if a.closed {
		return
	}
	a.closed, a.done = true, done
	if a.timer != nil {
		a.timer.Cancel()
	}
	if a.listening {
		a.refuse()
	}
	a.engine.Cancel(&a.op)
	if !a.op.InFlight() {
		a.bury()
	}
}

func (a *Acceptor) refuse() {
	if err := a.engine.StopListening(a.fd); err != nil {
		a.host.Report(Exception{Message: "Error closing a listener", Err: err})
	}
}

// Complete implements proactor.Handler.
func (a *Acceptor) Complete(op *proactor.Op) {
	switch {
	case op.Res >= 0 && a.closed:
		a.drop(int(op.Res))
	case op.Res >= 0:
		a.outage = false
		a.accept(int(op.Res))
	case !a.closed:
		a.failed(op.Errno())
	}
	if op.More || op.InFlight() {
		return
	}
	if a.closed {
		if !a.buried {
			a.bury()
		}
	} else if op.Res >= 0 {
		a.engine.Submit(op)
	}
}

// failed reports an error of accept and has it tried again later.
func (a *Acceptor) failed(errno syscall.Errno) {
	if !a.outage {
		a.outage = true
		message := "Error accepting a connection"
		switch errno {
		case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM:
			message = "socket.accept() out of system resource"
		}
		a.host.Report(Exception{Message: message, Err: os.NewSyscallError("accept", errno)})
	}
	a.timer = a.host.After(retryAfter, a.resume)
}

// drop closes a connection that nobody wants.
func (a *Acceptor) drop(fd int) {
	if err := a.engine.CloseFD(fd); err != nil {
		a.host.Report(Exception{Message: "Error closing a socket", Err: err})
	}
}

func (a *Acceptor) bury() {
	a.buried = true
	a.drop(a.fd)
	if a.done != nil {
		a.done()
	}
}
