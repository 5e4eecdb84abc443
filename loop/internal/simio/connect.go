package simio

import (
	"syscall"
	"time"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// connectTimeout is how long SYNs are repeated (Linux: tcp_syn_retries 6).
const connectTimeout = 127 * time.Second

// startConnect is Connect.
func (fl *flight) startConnect() {
	fl.file.connectTo(fl.op.Message.Addr, func(errno Errno) {
		if fl.state == running {
			fl.fail(errno)
		}
	})
}

// connectTo is connect(2). It calls answer when that is decided, maybe at once.
func (f *file) connectTo(addr transport.Addr, answer func(Errno)) {
	w := f.w
	end := func(errno Errno) {
		if errno != 0 && f.stage == connecting {
			f.stage = fresh
		}
		answer(errno)
	}
	if f.kind == datagramSocket {
		end(f.connectDatagram(addr))
		return
	}
	if errno := f.mayConnect(addr); errno != 0 {
		end(errno)
		return
	}
	switch {
	case w.net.chance(w.faults.Refuse):
		f.stage = connecting
		w.at(w.now+w.delay(), func() { end(syscall.ECONNREFUSED) })
	case w.net.chance(w.faults.Timeout):
		f.stage = connecting
		w.at(w.now+w.net.duration(connectTimeout), func() { end(syscall.ETIMEDOUT) })
	default:
		f.dial(addr, end)
	}
}

// mayConnect is what connect(2) says at once.
func (f *file) mayConnect(addr transport.Addr) Errno {
	switch {
	case !f.isConnection():
		return syscall.ENOTSOCK
	case f.stage == connected:
		return syscall.EISCONN
	case f.stage == connecting:
		return syscall.EALREADY
	case f.stage == listening || addr.IsZero() || len(addr.Path) > pathMax:
		return syscall.EINVAL
	case familyOf(addr) != f.family && !(f.family == proactor.IPv6 && addr.Addr().Is4In6()):
		return syscall.EAFNOSUPPORT
	}
	return 0
}

// dial connects f and calls end, with the lock held, when that is decided.
func (f *file) dial(addr transport.Addr, end func(Errno)) {
	w := f.w
	f.stage = connecting
	if addr.Path == "" && addr.Addr().IsUnspecified() {
		ip := transport.Addr{AddrPort: addr.AddrPort}
		ip.AddrPort = loopbackPort(addr)
		addr = ip
	}
	switch w.route(addr) {
	case Unreachable:
		end(syscall.ENETUNREACH)
		return
	case Silent:
		w.at(w.now+connectTimeout, func() { f.endDial(end, syscall.ETIMEDOUT) })
		return
	case Refusing:
		w.at(w.now+w.way(), func() { f.endDial(end, syscall.ECONNREFUSED) })
		return
	}
	if errno := w.autobind(f, addr); errno != 0 {
		end(errno)
		return
	}
	if addr.Path != "" {
		f.dialUnix(addr, end)
		return
	}
	w.at(w.now+w.way(), func() { f.receiveSYN(addr, 0, end) })
}

// way is how long something takes to the other end of the network.
func (w *World) way() time.Duration {
	return 10*time.Microsecond + w.net.duration(500*time.Microsecond)
}

func (f *file) endDial(end func(Errno), errno Errno) {
	if f.stage == connecting {
		end(errno)
	}
}

// receiveSYN is the arrival of a SYN. A full backlog drops it: it is repeated.
func (f *file) receiveSYN(addr transport.Addr, try int, end func(Errno)) {
	w := f.w
	if f.stage != connecting {
		return
	}
	l := w.lookup(streamSocket, addr, (*file).listens)
	switch {
	case l == nil:
		w.at(w.now+w.way(), func() { f.endDial(end, syscall.ECONNREFUSED) })
	case len(l.queue) > l.backlog && try == 6:
		f.endDial(end, syscall.ETIMEDOUT)
	case len(l.queue) > l.backlog:
		w.at(w.now+time.Second<<try, func() { f.receiveSYN(addr, try+1, end) })
	default:
		f.meet(l, addr)
		w.at(w.now+f.tx.delay, func() { f.answered(end) })
	}
}

func (f *file) listens() bool { return f.stage == listening }

// meet makes the listener's end of the connection.
func (f *file) meet(l *file, addr transport.Addr) {
	s := f.w.newFile(l.kind, l.family)
	s.stage = connected
	s.options = l.options
	s.local, s.remote = addr, f.local
	f.remote = addr
	f.w.join(f, s, addr.Path != "")
	l.queue = append(l.queue, s)
	l.comings++
	l.touch()
}

// answered is the arrival of SYN+ACK.
func (f *file) answered(end func(Errno)) {
	if f.stage != connecting {
		// Closed meanwhile: the other end hears of it.
		if f.tx != nil {
			f.sendReset()
		}
		return
	}
	if f.broken {
		f.tx, f.rx, f.broken = nil, nil, false
		end(f.takeError())
		return
	}
	f.stage = connected
	end(0)
	f.touch()
}

// dialUnix connects at once, or when the backlog has room.
func (f *file) dialUnix(addr transport.Addr, end func(Errno)) {
	w := f.w
	if f.stage != connecting {
		return
	}
	bound := w.lookup(f.kind, addr, func(*file) bool { return true })
	switch {
	case bound == nil && addr.Path[0] != '@':
		end(syscall.ENOENT)
	case bound == nil:
		end(syscall.ECONNREFUSED)
	case bound.stage != listening:
		end(syscall.ECONNREFUSED)
	case len(bound.queue) > bound.backlog:
		w.at(w.now+time.Millisecond, func() { f.dialUnix(addr, end) })
	default:
		f.meet(bound, addr)
		f.stage = connected
		end(0)
	}
}

// tryAccept is Accept: all that wait, each with a descriptor of its own.
func (fl *flight) tryAccept() {
	l, w := fl.file, fl.e.World
	if l.stage != listening {
		fl.fail(syscall.EINVAL)
		return
	}
	for fl.state == running && len(l.queue) > 0 {
		if w.net.chance(w.faults.Accept) {
			fl.fail([3]Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM}[w.net.below(3)])
			return
		}
		s := l.queue[0]
		if errno := w.install(s); errno != 0 {
			fl.fail(errno)
			return
		}
		l.queue = l.queue[1:]
		s.record("accepted", int64(l.fd))
		fl.more(completion{res: int32(s.fd)})
	}
}
