package simio

import (
	"syscall"

	"github.com/sluice-net/sluice/transport"
)

// What a peer does at once, for tests in which no time passes between two steps
// of a script: a connection, and a receive of what is there.

// DialNow connects a peer to addr, which a listener of this world has, in no
// time, as Linux does over loopback. The peer reads only by Recv. The error is
// ECONNREFUSED where nobody listens, EAGAIN where the backlog is full.
func (w *World) DialNow(addr transport.Addr) (*Peer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.lookup(streamSocket, addr, (*file).listens)
	switch {
	case l == nil:
		return nil, syscall.ECONNREFUSED
	case len(l.queue) > l.backlog:
		return nil, syscall.EAGAIN
	}
	f := w.newFile(streamSocket, familyOf(addr))
	if errno := w.autobind(f, addr); errno != 0 {
		return nil, errno
	}
	p := w.newPeer(f)
	p.paused = true
	f.meet(l, addr)
	f.stage = connected
	f.record("peer dial", 0)
	w.settle()
	w.rouse()
	return p, nil
}

// Recv receives into b what has arrived at a peer that does not read by itself,
// see PauseReading. n is 0 at the end of the stream and where b is empty; the
// error is an Errno, EAGAIN where nothing has arrived.
func (p *Peer) Recv(b []byte) (n int, err error) {
	p.do(func() {
		if p.f.stage != connected {
			err = syscall.ENOTCONN
			return
		}
		avail, errno, ok := p.f.received()
		switch {
		case !ok:
			errno = syscall.EAGAIN
		case errno == 0 && avail > 0:
			n = copy(b, p.f.rx.take(min(avail, len(b))))
			p.f.record("peer recv", int64(n), b[:n])
		}
		if errno != 0 {
			err = errno
		}
	})
	return n, err
}
