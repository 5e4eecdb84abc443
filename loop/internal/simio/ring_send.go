package simio

import "syscall"

// trySend is SEND and SENDMSG. With MSG_DONTWAIT it is over at once, else it goes on
// when there is room: with MSG_WAITALL until all is sent, or an error comes, which is
// taken from the socket and hidden by the count where part was sent. Without
// MSG_WAITALL what was sent first is a success.
func (t *task) trySend() verdict {
	f := t.file
	if f.kind > datagramSocket {
		t.fail(syscall.ENOTSOCK)
		return over
	}
	if t.sqe.opFlags&^(msgDontWait|msgWaitAll|msgNoSignal) != 0 ||
		t.sqe.opFlags&msgNoSignal == 0 {
		t.violate("flags %#x", t.sqe.opFlags)
	}
	if f.kind == datagramSocket || f.kind == packetSocket {
		return t.sendPacket()
	}
	if f.stage == connecting {
		return t.short(0) // Linux: it waits for the connection
	}
	if errno := f.connectedErrno(); errno != 0 {
		t.stop(errno)
		return over
	}
	f.maybeReset(true)
	room, errno := f.writable()
	if errno != 0 {
		t.stop(errno)
		return over
	}
	w := t.r.w
	n := min(room, t.total-t.done)
	if n > 0 && w.net.chance(w.faults.Again) {
		n = 0 // there was no memory for it
	}
	n = w.part(n, w.faults.PartialWrite)
	if n > 0 {
		f.record("sent", int64(n), t.sending(n)...)
		f.putFrom(t.bufs, t.done, n)
	}
	return t.short(n)
}

// short is what follows n bytes sent.
func (t *task) short(n int) verdict {
	t.done += n
	all := t.sqe.opFlags&msgWaitAll != 0
	switch {
	case t.done == t.total, n > 0 && !all:
		t.end(int32(t.done), 0, nil)
		return over
	case t.sqe.opFlags&msgDontWait != 0:
		t.file.noSpace = true
		t.stop(syscall.EAGAIN)
		return over
	}
	t.file.noSpace = true
	return blocked
}

// sending are the next n bytes.
func (t *task) sending(n int) [][]byte {
	var out [][]byte
	skip := t.done
	for _, b := range t.bufs {
		if skip >= len(b) {
			skip -= len(b)
			continue
		}
		part := b[skip:min(len(b), skip+n)]
		out = append(out, part)
		if n -= len(part); n == 0 {
			break
		}
		skip = 0
	}
	return out
}

// sendPacket sends one datagram or message.
func (t *task) sendPacket() verdict {
	f := t.file
	to := f.remote
	if t.message != nil && !t.message.to.IsZero() {
		to = t.message.to
	}
	n, errno := f.sendWhole(t.bufs, to)
	switch {
	case errno == syscall.EAGAIN && t.sqe.opFlags&msgDontWait == 0:
		return blocked
	case errno != 0:
		t.fail(errno)
	default:
		t.end(int32(n), 0, nil)
	}
	return over
}
