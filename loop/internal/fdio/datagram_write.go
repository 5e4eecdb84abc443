package fdio

import (
	"syscall"
	"time"

	"github.com/sluice-net/sluice/transport"
)

// The sending half of an endpoint.
//
//	idle --SendTo--> dirty --Flush, one--> in flight --sent--> idle | dirty
//	                 dirty --Flush, several--> pumping --all taken--> idle
//	                       pumping --no room--> in flight --sent--> pumping
//	                               --no room, Unix--> waiting | backing off --> pumping
//	                               --no room, a group--> waiting | backing off --> pumping
//
// Datagrams are handed over at the end of the round: a single one as an operation, which
// costs no system call of its own; several in batches, in one call each. Either way they
// stay in order, because only the first one waits when there is no room. One operation
// for each would not keep the order: the kernel wakes the operations that wait for room
// in reverse order. Unix sockets are always pumped: see proactor.SendMsg.

// datagramOverhead is how many bytes a datagram counts in addition to its data, as in
// asyncio.
const datagramOverhead = 8

// pumpBatches is how many batches an endpoint may send in a round.
const pumpBatches = 8

// How long an endpoint backs off when the receiver's queue is full and the kernel has
// no event for that: a Unix datagram socket that is not connected always polls as
// writable (unix_dgram_poll looks at a connected peer's queue alone). So it does where
// the watch for room tells of an error that no call fails with.
const (
	backoffMin = 1 // ms
	backoffMax = 16
)

const pollOut = 0x4 // of poll(2)

// SendTo implements transport.DatagramTransport.
func (d *Datagram) SendTo(data []byte, addr transport.Addr) error {
	d.host.Check()
	size := len(data) + datagramOverhead
	to, err := d.destination(addr, size)
	if err != nil {
		return err
	}
	d.push(data, to)
	d.grew(size)
	return nil
}

// SendBatch implements transport.BatchSender.
func (d *Datagram) SendBatch(batch []transport.Datagram) (int, error) {
	d.host.Check()
	size := 0
	for i := range batch {
		more := size + len(batch[i].Data) + datagramOverhead
		to, err := d.destination(batch[i].Addr, more)
		if err != nil {
			d.grew(size)
			return i, err
		}
		d.push(batch[i].Data, to)
		size = more
	}
	d.grew(size)
	return len(batch), nil
}

// push queues a datagram, which is not counted yet.
func (d *Datagram) push(data []byte, to transport.Addr) {
	d.out.push(data, to, d.host.Chunks(), d.send.InFlight() && d.out.count() == 1)
	d.pub.slot.Wrote(len(data))
	d.markDirty()
}

// destination returns where a datagram goes that counts size bytes; the zero Addr means
// the peer that the kernel knows.
func (d *Datagram) destination(addr transport.Addr, size int) (transport.Addr, error) {
	hasPeer := d.connected || !d.remote.IsZero()
	switch {
	case d.state > Open:
		return addr, transport.ErrClosed
	case addr.IsZero() && !hasPeer:
		return addr, transport.ErrNoDestination
	case hasPeer && !addr.IsZero() && !samePlace(addr, d.remote):
		return addr, transport.ErrAddrMismatch
	case d.full(size):
		return addr, transport.ErrBufferFull
	case d.connected:
		return transport.Addr{}, nil
	case addr.IsZero():
		return d.remote, nil
	}
	return addr, nil
}

// samePlace reports whether two addresses are the same, even if written differently.
func samePlace(a, b transport.Addr) bool {
	return a.Path == b.Path && a.Port() == b.Port() &&
		a.Addr().Unmap().WithZone("") == b.Addr().Unmap().WithZone("")
}

func (d *Datagram) markDirty() {
	if !d.dirty && !d.pumping && !d.waits() {
		d.dirty = true
		d.host.Dirty(d)
	}
	d.awaitSend()
}

// Flush hands the output to the engine. The loop calls it at the end of a round.
func (d *Datagram) Flush() {
	d.dirty = false
	switch {
	case d.state >= Lost || d.out.count() == 0 || d.waits():
	case d.out.count() == 1 && !d.unix && d.out.waiting()[0].Segment == 0:
		d.submitMessage(&d.out)
	default:
		d.pump()
	}
}

// waits reports whether the output will continue by itself.
func (d *Datagram) waits() bool {
	return d.send.InFlight() || d.writable.InFlight() || d.sendBackoff != nil
}

// sent handles the completion of that operation.
func (d *Datagram) sent() {
	d.sentMessage()
	if d.state >= Lost {
		return
	}
	if errno := d.send.Errno(); errno != 0 {
		d.sendFailed("sendmsg", errno)
	} else {
		d.taken(1)
	}
	if d.out.count() > 0 {
		d.markDirty()
	}
	d.afterSend()
}

// pump sends what the kernel takes. Meanwhile callbacks may send more, close or abort.
// What is left after some batches waits for the next round, so that an endpoint that
// sends another datagram on every error does not hog the loop.
func (d *Datagram) pump() {
	d.pumping = true
	d.pub.page.Sent(d.pub.slot)
	full := false
	for i := 0; i < pumpBatches && d.out.count() > 0; i++ {
		n, noRoom, errno := d.sendBatch(&d.out)
		full = noRoom
		segment := 0
		if errno != 0 {
			segment = d.out.waiting()[n].Segment
		}
		d.taken(n)
		if d.state < Lost && errno != 0 {
			d.refused(segment, errno)
		}
		if full || d.state >= Lost {
			break
		}
	}
	if d.recvErr {
		d.readErrors() // sendmmsg reports no error once it has sent something
	}
	d.pumping = false
	if d.state < Lost && d.out.count() > 0 {
		d.await(full)
	}
	d.afterSend()
}

// refused goes on after a call that did not send the first datagram, or the group
// of those of segment bytes.
func (d *Datagram) refused(segment int, errno syscall.Errno) {
	if segment > 0 && d.ungroup(segment, errno) {
		return
	}
	d.sendFailed("sendmmsg", errno)
}

// await arranges for the output to continue, when there is room or in the next round.
// Only a single datagram waits for room as an operation.
func (d *Datagram) await(full bool) {
	group := !d.unix && d.out.waiting()[0].Segment > 0
	switch {
	case !full:
		d.schedule()
	case !d.told && (d.connected && d.unix || group):
		d.pub.sendingPackets(d.out.waiting())
		d.engine.Submit(&d.writable)
	case d.unix || group:
		d.pub.sendingPackets(d.out.waiting())
		d.backoffMS = min(max(2*d.backoffMS, backoffMin), backoffMax)
		d.sendBackoff = d.host.After(time.Duration(d.backoffMS)*time.Millisecond, func() {
			d.sendBackoff = nil
			d.Flush()
		})
	default:
		d.submitMessage(&d.out)
	}
}

// onWritable handles a completion of the watch for room. The last one continues the
// output.
func (d *Datagram) onWritable() {
	if d.writable.More {
		d.engine.Cancel(&d.writable)
		return
	}
	d.told = true
	d.Flush()
	d.told = false
}

// taken releases the first n datagrams, which the kernel has taken.
func (d *Datagram) taken(n int) {
	if n == 0 {
		return
	}
	d.backoffMS, d.told = 0, false
	d.shrank(d.out.pop(n, d.host.Chunks()))
	d.settleDoubt() // tells the trace, which may abort
}

// sendFailed drops the first datagram and tells the protocol why. The others are still
// sent. If the error queue shows that the error is the network's answer to an earlier
// datagram, nothing is dropped, and the first one is tried again.
func (d *Datagram) sendFailed(call string, errno syscall.Errno) {
	if d.readErrors() || d.state >= Lost {
		return
	}
	d.doubt = 0
	first := d.out.waiting()[0]
	err := opError("write", call, errno, d.local, d.addressOf(first))
	d.shrank(d.out.popDatagram(d.host.Chunks()))
	switch {
	case d.state >= Lost:
	case errno == syscall.EBADF || errno == syscall.ENOTSOCK:
		d.guard.Note("Fatal write error on datagram transport", "err", err)
		d.fail(err)
	default:
		d.errorReceived(err)
	}
}

// afterSend ends a closing endpoint when its output has been sent.
func (d *Datagram) afterSend() {
	if d.state == Closing && d.out.count() == 0 && !d.send.InFlight() {
		d.fail(nil)
	}
}
