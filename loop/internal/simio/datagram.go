package simio

import (
	"slices"
	"syscall"
	"time"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// datagramMax is the largest datagram: what an IPv4 packet has room for.
const datagramMax = 65507

// localQueueMax is how many datagrams a Unix socket holds before its senders have
// to wait (Linux: net.unix.max_dgram_qlen, 10, and one more).
const localQueueMax = 11

// datagramWay is how long a datagram takes.
const datagramWay = 50 * time.Microsecond

// packet is a datagram that arrived.
type packet struct {
	data []byte
	from transport.Addr
}

// connectDatagram sets where datagrams go, and whose are received.
func (f *file) connectDatagram(addr transport.Addr) Errno {
	switch {
	case addr.IsZero() || familyOf(addr) != f.family:
		return syscall.EAFNOSUPPORT
	case addr.Path == "" && f.w.route(addr) == Unreachable:
		return syscall.ENETUNREACH
	case addr.Path == "":
	case f.w.lookup(datagramSocket, addr, anyFile) != nil:
	case addr.Path[0] == '@':
		return syscall.ECONNREFUSED
	default:
		return syscall.ENOENT
	}
	if errno := f.w.autobind(f, addr); errno != 0 {
		return errno
	}
	f.remote, f.stage = addr, connected
	return 0
}

func anyFile(*file) bool { return true }

// trySendDatagram is Send and SendMsg on a datagram socket.
func (fl *flight) trySendDatagram() {
	to := fl.file.remote
	if fl.code == proactor.SendMsg && !fl.op.To().IsZero() {
		to = fl.op.To()
	}
	n, errno := fl.file.sendWhole(fl.memory(), to)
	if errno == syscall.EAGAIN {
		fl.lazy = false // it goes on when there is room
		return
	}
	if errno != 0 {
		fl.fail(errno)
		return
	}
	fl.finish(int32(n))
}

// sendWhole sends bufs as one datagram, or one message.
func (f *file) sendWhole(bufs [][]byte, to transport.Addr) (int, Errno) {
	if f.kind == packetSocket {
		return f.sendMessage(bufs)
	}
	return f.sendDatagram(bufs, to)
}

// sendDatagram sends bufs as one datagram.
func (f *file) sendDatagram(bufs [][]byte, to transport.Addr) (int, Errno) {
	data := slices.Concat(bufs...)
	if errno := f.refuses(len(data), to); errno != 0 {
		return 0, errno
	}
	if to.Path != "" {
		return f.sendLocal(data, to)
	}
	if !f.hasRoom(len(data)) {
		return 0, syscall.EAGAIN
	}
	return f.launch(data, to)
}

// refuses says what is wrong with a datagram of size bytes.
func (f *file) refuses(size int, to transport.Addr) Errno {
	w := f.w
	switch {
	case f.err != 0:
		return f.takeError()
	case to.IsZero() && f.family == proactor.Unix:
		return syscall.ENOTCONN
	case to.IsZero():
		return syscall.EDESTADDRREQ
	case familyOf(to) != f.family && !(f.family == proactor.IPv6 && to.Addr().Is4In6()):
		return syscall.EAFNOSUPPORT
	case size > datagramMax:
		f.queueError(syscall.EMSGSIZE, to, true)
		return syscall.EMSGSIZE
	case to.Path != "":
		return 0
	case w.route(to) == Unreachable && !to.Addr().IsMulticast() && to.Addr() != limitedBroadcast:
		return syscall.ENETUNREACH
	case to.Addr() == limitedBroadcast && f.options[proactor.Broadcast] == 0:
		return syscall.EACCES
	}
	return w.autobind(f, somebody(to))
}

// somebody is where a datagram to an address goes: the unspecified one is this host.
func somebody(to transport.Addr) transport.Addr {
	if to.Addr().IsUnspecified() {
		return transport.Addr{AddrPort: loopbackPort(to)}
	}
	return to
}

// launch puts a UDP datagram on its way.
func (f *file) launch(data []byte, to transport.Addr) (int, Errno) {
	w := f.w
	to = somebody(to)
	if w.net.chance(w.faults.Drop) {
		f.record("drop", int64(len(data)), data)
		return len(data), 0
	}
	arrival := w.now + datagramWay // in order, but for the faults
	if w.net.chance(w.faults.Overtake) {
		arrival += w.delay()
	}
	f.onWay += len(data) + datagramCost
	w.at(arrival, func() {
		f.arrived(len(data))
		f.deliverTo(to, data)
	})
	if w.net.chance(w.faults.Duplicate) {
		w.at(arrival+w.net.duration(time.Millisecond), func() { f.deliverTo(to, data) })
	}
	return len(data), 0
}

// sendLocal sends to a Unix socket, which is there or not.
func (f *file) sendLocal(data []byte, to transport.Addr) (int, Errno) {
	dest := f.w.lookup(datagramSocket, to, anyFile)
	if dest == nil {
		if f.stage == connected || to.Path[0] == '@' {
			return 0, syscall.ECONNREFUSED
		}
		return 0, syscall.ENOENT
	}
	if len(dest.packets) >= localQueueMax {
		dest.senders = append(dest.senders, f)
		return 0, syscall.EAGAIN
	}
	dest.packets = append(dest.packets, packet{data, f.local})
	dest.comings++
	dest.touch()
	return len(data), 0
}

// deliverTo is the arrival of a datagram. Where nobody is, the answer is an
// ICMP message, of which connected senders are told.
func (f *file) deliverTo(to transport.Addr, data []byte) {
	from := f.source(to)
	if to.Addr().IsMulticast() {
		f.deliverToGroup(to, from, data)
		return
	}
	dest := f.w.lookup(datagramSocket, to, func(d *file) bool {
		return d.stage != connected || d.remote == from
	})
	switch {
	case dest != nil && dest.overflows(len(data)):
		dest.record("overflow", int64(len(data)), data)
	case dest != nil:
		dest.packets = append(dest.packets, packet{slices.Clone(data), from})
		dest.comings++
		dest.touch()
	case (f.stage == connected || f.queuesErrors()) && f.w.route(to) == Local:
		f.w.at(f.w.now+f.w.way(), func() {
			f.err = syscall.ECONNREFUSED
			f.queueError(syscall.ECONNREFUSED, to, false)
			f.touch()
		})
	}
}

// source is the address that to sees datagrams of f come from.
func (f *file) source(to transport.Addr) transport.Addr {
	if !f.local.Addr().IsUnspecified() {
		return f.local
	}
	ip := transport.Addr{AddrPort: loopbackPort(to)}
	return withPort(ip, f.local.Port())
}

// tryRecvDatagram is Recv: one datagram or message, cut to the buffer.
func (fl *flight) tryRecvDatagram() {
	switch p, errno, ok := fl.file.nextPacket(); {
	case !ok:
	case errno != 0:
		fl.fail(errno)
	default:
		n := min(len(p.data), len(fl.buf))
		fl.fill(p.data[:n])
		fl.finish(int32(n))
	}
}

// tryRecvMsg is RecvMsg: every datagram or message, into buffers of the pool, until the
// end of messages.
func (fl *flight) tryRecvMsg() {
	f := fl.file
	if f.kind != datagramSocket && f.kind != packetSocket {
		fl.fail(syscall.EINVAL)
		return
	}
	for fl.state == running {
		if f.kind == datagramSocket && f.err != 0 {
			fl.fail(f.takeError())
			return
		}
		if !f.hasPacket() {
			return
		}
		buf := fl.e.takeBuffer(fl)
		if buf == nil {
			return
		}
		p, errno, _ := f.nextPacket()
		if errno != 0 || f.kind == packetSocket && len(p.data) == 0 {
			fl.e.giveBuffer(buf)
			fl.finish(-int32(errno))
			return
		}
		segment := 0
		if fl.op.Message.Coalesced && f.options[proactor.Coalesce] != 0 {
			segment = f.coalesce(&p, len(buf))
		}
		n := copy(buf, p.data)
		fl.more(completion{
			res: int32(n), data: buf[:n], addr: p.from, truncated: n < len(p.data),
			size: len(p.data), segment: segment,
		})
	}
}
