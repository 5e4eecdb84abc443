package fdio

import (
	"os"
	"syscall"
	"time"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// retryAfter is how long a listener waits before it checks whether the system has
// descriptors or memory again. Retrying at once would spin: every attempt fails.
const retryAfter = time.Second

// Acceptor accepts connections on one listening socket.
//
//	idle --Start--> accepting --EMFILE, ENFILE--> shedding --spare is back--> accepting
//	                accepting --ENOMEM …--------> waiting --retryAfter-----> accepting
//	                accepting --Pause(true)-----> paused ---Pause(false)---> accepting
//	                any --Close--> closed
//
// shedding: the spare descriptor has been closed, so that one connection at a time can be
// accepted and closed at once. Clients then see their connection end, instead of waiting
// in a queue that nobody serves. An outage is reported once, and is over when a
// connection has been accepted for good.
type Acceptor struct {
	host     Host
	engine   proactor.Proactor
	fd       int
	op       proactor.Op
	accept   func(fd int)
	spare    int // a descriptor to give up, -1 for none
	shed     int // connections since the accept was armed
	timer    Timer
	done     func()
	started  bool
	shedding bool
	outage   bool
	paused   bool
	shared   bool // somebody else may listen on the same socket
	closed   bool
	released bool
}

// NewAcceptor makes an acceptor for a bound descriptor, which it owns. accept is called
// on the loop with each new connection's descriptor.
func NewAcceptor(host Host, fd int, accept func(fd int)) *Acceptor {
	a := &Acceptor{host: host, engine: host.Engine(), fd: fd, accept: accept, spare: -1}
	a.op.Code, a.op.FD, a.op.Handler = proactor.Accept, fd, a
	return a
}

// FD returns the listening descriptor.
func (a *Acceptor) FD() int { return a.fd }

// Spare returns the spare descriptor, -1 for none.
func (a *Acceptor) Spare() int { return a.spare }

// Share says that others may have descriptors of the same socket, for example a second
// server on it or a process that takes over from this one. Close then closes only our
// descriptor: shutdown(2) would end the socket for all of them.
func (a *Acceptor) Share() { a.shared = true }

// Start begins to accept on the descriptor, which listens by now. It does nothing when
// called again.
func (a *Acceptor) Start() {
	if a.closed || a.started {
		return
	}
	a.started = true
	a.keepSpare()
	a.resume()
}

// keepSpare reports whether there is a spare descriptor now.
func (a *Acceptor) keepSpare() bool {
	if a.spare < 0 {
		fd, err := a.engine.Socket(proactor.IPv4, proactor.Stream)
		if err != nil {
			return false
		}
		a.spare = fd
	}
	return true
}

func (a *Acceptor) dropSpare() {
	if a.spare >= 0 {
		a.drop(a.spare)
		a.spare = -1
	}
}

// Pause leaves connections in the kernel's queue if on is true, and resumes accepting
// them if it is false. Those that the engine has accepted by then are still passed on.
func (a *Acceptor) Pause(on bool) {
	a.paused = on
	if on {
		a.engine.Cancel(&a.op)
	} else if a.started {
		a.resume()
	}
}

// resume arms the accept.
func (a *Acceptor) resume() {
	if !a.closed && !a.paused && !a.op.InFlight() {
		a.shed = 0
		a.engine.Submit(&a.op)
	}
}

// Close stops accepting: new connections are refused. The descriptor is closed when the
// engine has released it; then done is called, if it is not nil. Connections that are
// accepted meanwhile are closed.
//
// If the socket is shared, new connections stay in its queue for the others; if there are
// none, the queue ends with the descriptor. What the engine had taken out of the queue by
// then is still passed on: nobody else can serve it.
func (a *Acceptor) Close(done func()) {
	if a.closed {
		return
	}
	a.closed, a.done = true, done
	if a.timer != nil {
		a.timer.Cancel()
	}
	if a.started && !a.shared {
		a.refuse()
	}
	a.engine.Cancel(&a.op)
	if !a.op.InFlight() {
		a.release()
	}
}

func (a *Acceptor) refuse() {
	if err := a.engine.StopListening(a.fd); err != nil {
		a.host.Report(Exception{Message: "Error closing a listener", Err: err})
	}
}

// Complete implements proactor.Handler.
func (a *Acceptor) Complete(op *proactor.Op) {
	res, more := op.Res, op.More
	switch {
	case res >= 0 && (a.closed && !a.shared || a.shedding):
		a.shed++
		a.drop(int(res))
	case res >= 0:
		a.outage = false
		a.accept(int(res))
	case !a.closed && res != ecanceled:
		a.failed(syscall.Errno(-res))
	}
	if more || a.op.InFlight() {
		return
	}
	if a.closed {
		a.release()
	} else if res >= 0 || res == ecanceled {
		a.resume()
	}
}

const ecanceled = -int32(syscall.ECANCELED)

// failed reports an error of accept and decides how to go on.
func (a *Acceptor) failed(errno syscall.Errno) {
	switch errno {
	case syscall.EMFILE, syscall.ENFILE:
		a.report("socket.accept() out of system resource", errno)
		if a.shedding && a.shed > 0 {
			a.resume() // that one made room for the next
			return
		}
		if !a.shedding && a.spare >= 0 {
			a.shedding = true
			a.dropSpare()
			a.later()
			a.resume()
			return
		}
	case syscall.ENOBUFS, syscall.ENOMEM:
		a.report("socket.accept() out of system resource", errno)
	default:
		a.report("Error accepting a connection", errno)
	}
	a.later()
}

func (a *Acceptor) report(message string, errno syscall.Errno) {
	if !a.outage {
		a.outage = true
		a.host.Report(Exception{Message: message, Err: os.NewSyscallError("accept", errno)})
	}
}

// later schedules retryAccept.
func (a *Acceptor) later() {
	if a.timer != nil {
		a.timer.Cancel()
	}
	a.timer = a.host.After(retryAfter, a.retryAccept)
}

// retryAccept ends the shedding if there is a spare descriptor again. The accept is armed
// anew, because io_uring uses the descriptor limit at the time of arming.
func (a *Acceptor) retryAccept() {
	if a.keepSpare() {
		a.shedding = false
		a.engine.Cancel(&a.op)
	} else {
		a.later()
	}
	a.resume()
}

// drop closes a descriptor that is not needed.
func (a *Acceptor) drop(fd int) {
	if err := a.engine.CloseFD(fd); err != nil {
		a.host.Report(Exception{Message: "Error closing a socket", Err: err})
	}
}

func (a *Acceptor) release() {
	if a.released {
		return
	}
	a.released = true
	a.dropSpare()
	a.drop(a.fd)
	if a.done != nil {
		a.done()
	}
}
