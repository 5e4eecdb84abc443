package simio

import (
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// Peer is the other end of a connection, or of a pipe, without a loop: driven
// step by step by a test. It reads all that arrives unless told otherwise.
// Time passes for it in Wait alone. Its methods may be called from any
// goroutine; with a history that is the same twice from the loop's only, that
// is, between Waits, in Complete, in World.After and in its own callback.
type Peer struct {
	w       *World
	f       *file
	pending []byte // given to Send and not taken
	got     []byte
	eof     bool
	paused  bool
	ending  bool // CloseWrite follows pending
	closing bool // Close follows pending
	err     Errno
	notify  func()
	due     bool // a call of notify is scheduled
}

// newPeer makes f a peer's.
func (w *World) newPeer(f *file) *Peer {
	p := &Peer{w: w, f: f}
	f.peer = p
	return p
}

// Dial connects a peer to addr. It returns at once; Connected and Err tell.
func (w *World) Dial(addr transport.Addr) *Peer {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.newFile(streamSocket, familyOf(addr))
	p := w.newPeer(f)
	f.dial(addr, func(errno Errno) {
		f.record("peer dial", -int64(errno))
		p.err = errno
		if errno != 0 {
			f.close()
		}
		p.changed()
	})
	w.settle()
	return p
}

// PeerPair returns a Unix stream socket and the peer at its other end.
func (w *World) PeerPair() (fd int, p *Peer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a, b := w.newPair()
	return w.mustInstall(a), w.newPeer(b)
}

// PipeReader returns the read end of a pipe; the peer has the other and writes.
func (w *World) PipeReader() (fd int, p *Peer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r, wr := w.newPipe()
	return w.mustInstall(r), w.newPeer(wr)
}

// PipeWriter returns the write end of a pipe; the peer has the other and reads.
func (w *World) PipeWriter() (fd int, p *Peer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r, wr := w.newPipe()
	return w.mustInstall(wr), w.newPeer(r)
}

// do calls f with the lock and carries on with what it changed.
func (p *Peer) do(f func()) {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	f()
	p.w.settle()
	p.w.rouse()
}

// Notify has f called, in some Wait, on its goroutine, after something changed:
// connected, bytes, the end, an error, all sent. Nil ends that.
func (p *Peer) Notify(f func()) { p.do(func() { p.notify = f; p.changed() }) }

// changed schedules a call of the callback.
func (p *Peer) changed() {
	if p.notify == nil || p.due {
		return
	}
	p.due = true
	p.w.push(event{at: p.w.now, script: true, do: func() {
		p.w.mu.Lock()
		f := p.notify
		p.due = false
		p.w.mu.Unlock()
		if f != nil {
			f()
		}
	}})
}

// Send sends b, which is copied. What the other end has no room for waits.
func (p *Peer) Send(b []byte) {
	p.do(func() { p.pending = append(p.pending, b...); p.f.touch() })
}

// CloseWrite sends FIN after all that was given to Send.
func (p *Peer) CloseWrite() { p.do(func() { p.ending = true; p.f.touch() }) }

// Close closes after all that was given to Send was taken. As in a kernel, a
// close with bytes that arrived and were not read is a reset.
func (p *Peer) Close() { p.do(func() { p.closing = true; p.f.touch() }) }

// Reset closes with RST, now.
func (p *Peer) Reset() {
	p.do(func() {
		p.f.record("peer reset", 0)
		p.f.options[proactor.LingerReset] = 1
		p.f.close()
	})
}

// PauseReading leaves what arrives in the kernel: the window closes.
func (p *Peer) PauseReading() { p.do(func() { p.paused = true }) }

// ResumeReading ends PauseReading.
func (p *Peer) ResumeReading() { p.do(func() { p.paused = false; p.f.touch() }) }

// pump reads, writes and closes as far as possible.
func (p *Peer) pump() {
	if p.f.stage != connected {
		return
	}
	if p.f.rx != nil && !p.paused {
		p.read()
	}
	if p.f.tx != nil && len(p.pending) > 0 {
		p.write()
	}
	if len(p.pending) > 0 {
		return
	}
	if p.ending && p.f.tx != nil && !p.f.tx.ending {
		p.f.record("peer shutdown", 0)
		p.f.tx.shut()
	}
	if p.closing {
		p.f.record("peer close", 0)
		p.f.close()
	}
}

func (p *Peer) read() {
	for {
		avail, errno, ok := p.f.received()
		switch {
		case !ok:
			return
		case avail > 0:
			b := p.f.rx.take(avail)
			p.f.record("peer recv", int64(avail), b)
			p.got = append(p.got, b...)
		case errno != 0:
			p.fail(errno)
			return
		default:
			if !p.eof {
				p.eof = true
				p.f.record("peer eof", 0)
				p.changed()
			}
			return
		}
		p.changed()
	}
}

func (p *Peer) write() {
	room, errno := p.f.writable()
	if errno != 0 {
		p.fail(errno)
		return
	}
	if room == 0 {
		return
	}
	n := p.f.tx.put(p.pending)
	p.f.record("peer send", int64(n), p.pending[:n])
	p.pending = p.pending[n:]
	if len(p.pending) == 0 {
		p.changed()
	}
}

// fail notes the first error; what was to be sent is lost.
func (p *Peer) fail(errno Errno) {
	p.f.record("peer error", -int64(errno))
	if p.err == 0 {
		p.err = errno
	}
	p.pending = nil
	p.changed()
}

// Connected reports whether the connection was made, whatever became of it.
func (p *Peer) Connected() bool {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	return p.f.rx != nil && p.f.stage != connecting || p.f.stage == connected
}

// Received returns all that was read so far, which is not to be written to. It does
// not copy: tests ask for it over and over, until megabytes have arrived.
func (p *Peer) Received() []byte {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	return p.got[:len(p.got):len(p.got)]
}

// Pending is how many bytes given to Send the kernel has not taken.
func (p *Peer) Pending() int {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	return len(p.pending)
}

// EOF reports whether the other end has ended its stream in order.
func (p *Peer) EOF() bool {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	return p.eof && p.err == 0
}

// Err returns the first error that the peer met, as an Errno, nil if none.
func (p *Peer) Err() error {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if p.err == 0 {
		return nil
	}
	return p.err
}

// WasReset reports whether the other end reset the connection.
func (p *Peer) WasReset() bool {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	return p.err == syscall.ECONNRESET || p.err == syscall.EPIPE
}

// LocalAddr returns the peer's own address.
func (p *Peer) LocalAddr() transport.Addr {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	return p.f.local
}

// RemoteAddr returns the address at the other end.
func (p *Peer) RemoteAddr() transport.Addr {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	return p.f.remote
}
