package loop

import (
	"context"
	"net"
	"runtime/debug"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// newStream makes a stream for a connected descriptor. It reads the addresses now,
// because they may be asked for long after the connection is gone.
func (l *Loop) newStream(c fdio.Config, family proactor.Family) *fdio.Stream {
	return l.newConnection(c, family, proactor.Stream).(*fdio.Stream)
}

// newConnection makes the transport for a connected socket of any kind.
func (l *Loop) newConnection(c fdio.Config, family proactor.Family,
	kind proactor.Kind) fdio.Connection {
	c.Local, c.Peer = l.namesOf(c.FD, family, kind)
	if c.Owner == nil {
		c.Owner = (*host)(l)
	}
	t := fdio.NewConnection((*host)(l), c, kind)
	if s, ok := t.(*fdio.Stream); ok {
		l.addStream(s)
	} else {
		l.open.AddTransport(t)
	}
	return t
}

// namesOf returns the addresses of a connected socket and its peer, as far as they are
// known.
func (l *Loop) namesOf(fd int, family proactor.Family, kind proactor.Kind) (local, peer net.Addr) {
	if a, err := l.engine.LocalAddr(fd); err == nil {
		local = fdio.NetAddr(a, family, kind)
	}
	if a, err := l.engine.RemoteAddr(fd); err == nil {
		peer = fdio.NetAddr(a, family, kind)
	}
	return local, peer
}

// makeProtocol calls the user's factory.
func (l *Loop) makeProtocol(factory protocol.Factory) (p protocol.Protocol, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &protocol.PanicError{Callback: "factory", Value: r, Stack: debug.Stack()}
		}
	}()
	p = factory()
	if p == nil {
		return nil, transport.ErrNilProtocol
	}
	return p, nil
}

// drop closes a descriptor that never became a transport.
func (l *Loop) drop(fd int) {
	if err := l.engine.CloseFD(fd); err != nil {
		l.report(Exception{Message: "Error closing a socket", Err: err})
	}
}

// whenDone calls f on the loop's goroutine when ctx ends, unless stop is called first.
func (l *Loop) whenDone(ctx context.Context, f func()) (stop func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	stopped := false
	cancel := context.AfterFunc(ctx, func() {
		l.CallSoonThreadsafe(func() {
			if !stopped {
				f()
			}
		})
	})
	return func() {
		stopped = true
		cancel()
	}
}

// onLoopNow runs f where it may touch the loop's state: at once if the caller is on the
// loop's goroutine, otherwise on that goroutine while the caller waits. It runs an idle
// loop meanwhile.
func (l *Loop) onLoopNow(f func()) {
	if l.onLoop() {
		f()
		return
	}
	_, err := block(context.Background(), l, func(done func(struct{}, error)) {
		f()
		done(struct{}{}, nil)
	})
	if err != nil {
		f() // the loop is closed: nobody else touches its state any more
	}
}
