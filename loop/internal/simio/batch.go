package simio

import (
	"net/netip"
	"slices"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// limitedBroadcast is everybody on the network.
var limitedBroadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// ConnectDatagram implements proactor.Kernel.
func (e *calls) ConnectDatagram(fd int, addr transport.Addr) error {
	e.call()
	defer e.mu.Unlock()
	f := e.need(fd, "ConnectDatagram")
	if f == nil {
		return sysError("connect", syscall.EBADF)
	}
	e.check(f.kind == datagramSocket, "ConnectDatagram of something else")
	return f.called("connect", f.connectDatagram(addr))
}

// TrySendMany implements proactor.Kernel. The fault PartialWrite makes the batch
// shorter.
func (e *calls) TrySendMany(fd int, batch []proactor.Packet) (int, error) {
	e.call()
	defer e.mu.Unlock()
	f := e.need(fd, "TrySendMany")
	if f == nil {
		return 0, sysError("sendmmsg", syscall.EBADF)
	}
	e.check(f.kind == datagramSocket || f.kind == packetSocket, "TrySendMany on something else")
	f.checkNoSend("TrySendMany")
	batch = batch[:min(len(batch), proactor.BatchMax)]
	if len(batch) > 0 {
		batch = batch[:e.part(len(batch), e.faults.PartialWrite)]
	}
	defer e.settle()
	for i, d := range batch {
		e.memory.checkLive(f, [][]byte{d.Data})
		to := d.Addr
		if to.IsZero() {
			to = f.remote
		}
		errno := f.sendPacket(d, to)
		f.record("trysend", int64(len(d.Data))-int64(errno), d.Data)
		if errno == syscall.EAGAIN {
			return i, nil
		}
		if errno != 0 {
			return i, sysError("sendmmsg", errno)
		}
	}
	return len(batch), nil
}

// JoinGroup implements proactor.Kernel. The world has one network, whatever the
// interface.
func (e *calls) JoinGroup(fd int, group netip.Addr, _ int) error {
	e.call()
	defer e.mu.Unlock()
	f := e.need(fd, "JoinGroup")
	switch {
	case f == nil:
		return sysError("setsockopt", syscall.EBADF)
	case f.kind != datagramSocket:
		return sysError("setsockopt", syscall.EPROTO)
	case !group.IsMulticast():
		return sysError("setsockopt", syscall.EINVAL)
	case slices.Contains(f.groups, group):
		return sysError("setsockopt", syscall.EADDRINUSE)
	}
	f.groups = append(f.groups, group)
	return f.called("join", 0)
}

// MulticastFrom implements proactor.Kernel.
func (e *calls) MulticastFrom(fd int, _ proactor.Family, _ int) error {
	e.call()
	defer e.mu.Unlock()
	f := e.need(fd, "MulticastFrom")
	if f == nil {
		return sysError("setsockopt", syscall.EBADF)
	}
	return f.called("multicast from", 0)
}

// deliverToGroup is the arrival of a datagram at each member of a group.
func (f *file) deliverToGroup(to, from transport.Addr, data []byte) {
	for _, d := range f.w.bound {
		if d.kind == datagramSocket && d.local.Port() == to.Port() &&
			slices.Contains(d.groups, to.Addr()) &&
			(d.stage != connected || d.remote == from) {
			d.packets = append(d.packets, packet{slices.Clone(data), from})
			d.comings++
			d.touch()
		}
	}
}

// takePacket takes the first datagram, of which there is one.
func (f *file) takePacket() packet {
	p := f.packets[0]
	f.packets = f.packets[1:]
	f.wakeSenders()
	return p
}

// wakeSenders has those that waited for room look again.
func (f *file) wakeSenders() {
	for _, s := range f.senders {
		s.touch()
	}
	f.senders = nil
}

// peerIsFull reports whether a connected Unix socket has to wait for room at its
// peer. Of others the kernel does not know.
func (f *file) peerIsFull() bool {
	if f.remote.Path == "" {
		return false
	}
	peer := f.w.lookup(datagramSocket, f.remote, anyFile)
	return peer != nil && len(peer.packets) >= localQueueMax
}
