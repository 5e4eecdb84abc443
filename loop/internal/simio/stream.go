package simio

import (
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// join connects two files with lanes both ways.
func (w *World) join(a, b *file, local bool) {
	a.tx = w.newLane(a, b, local)
	b.tx = w.newLane(b, a, local)
	b.tx.delay, b.tx.jitter = a.tx.delay, a.tx.jitter
	a.rx, b.rx = b.tx, a.tx
	for _, f := range [2]*file{a, b} {
		if n := f.options[proactor.SendBuffer]; n > 0 {
			f.tx.outMax = n
		}
		if n := f.options[proactor.ReceiveBuffer]; n > 0 {
			f.rx.inMax = n
		}
	}
}

// sendReset ends the connection with RST: what is under way still arrives
// before it, what was not sent never will.
func (f *file) sendReset() {
	tx := f.tx
	if tx == nil || tx.cut {
		return
	}
	if tx.local {
		tx.to.meetReset()
		return
	}
	tx.out = tx.out[:tx.wire]
	tx.ending, tx.finSent = true, true
	f.w.at(tx.arrival(), tx.to.meetReset)
}

// meetReset is the arrival of RST at f. What arrived before can still be read
// (Linux: tcp_reset leaves the receive queue alone).
func (f *file) meetReset() {
	if f.stage == gone || f.broken {
		return
	}
	f.broken = true
	f.err = syscall.ECONNRESET
	if !f.tx.local && f.rx.ended {
		f.err = syscall.EPIPE // Linux: in CLOSE_WAIT
	}
	f.tx.stop()
	f.rx.stop()
	f.record("reset", -int64(f.err))
	f.touch()
}

// sever breaks the connection: f meets errno, the other end a reset.
func (f *file) sever(errno Errno) {
	if f.stage != connected || f.broken || f.tx == nil || f.rx == nil {
		return
	}
	f.record("sever", -int64(errno))
	f.sendReset()
	f.tx.stop()
	f.rx.stop()
	f.rx.in, f.rx.lengths, f.rx.ended = nil, nil, false // what is dropped is no orderly end
	f.broken, f.err = true, errno
	f.touch()
}

// closeLanes is what the other end sees of a close.
func (f *file) closeLanes() {
	unread := f.rx != nil && f.rx.unread()
	if f.isConnection() && (unread || f.options[proactor.LingerReset] != 0) {
		f.sendReset()
		if f.rx != nil {
			f.rx.in, f.rx.lengths = nil, nil
		}
		return
	}
	if f.tx != nil && !f.tx.cut && !f.tx.ending {
		f.tx.shut()
	}
	// On this machine a writer knows at once that nobody reads any more.
	if rx := f.rx; rx != nil && rx.local {
		rx.stop()
		if rx.from.stage == connected && f.isConnection() {
			rx.from.broken = true
		}
		rx.from.touch()
	}
}

// received says what a receive finds: bytes to take, or an end (0), or an error;
// ok is false where it has to wait.
func (f *file) received() (avail int, errno Errno, ok bool) {
	rx := f.rx
	switch {
	case rx == nil:
		return 0, syscall.EBADF, true
	case len(rx.in) > 0:
		return len(rx.in), 0, true
	case rx.ended && !rx.local:
		return 0, 0, true
	case f.err != 0:
		return 0, f.takeError(), true
	case rx.ended || f.broken:
		return 0, 0, true
	}
	return 0, 0, false
}

// writable says how many bytes a send can leave, or its error.
func (f *file) writable() (room int, errno Errno) {
	tx := f.tx
	switch {
	case tx == nil:
		return 0, syscall.EBADF
	case tx.ending && !f.broken:
		return 0, syscall.EPIPE
	case tx.local && f.broken:
		return 0, syscall.EPIPE // Linux: the error is left for a receive
	case f.err != 0:
		return 0, f.takeError()
	case f.broken || tx.cut || tx.ending:
		return 0, syscall.EPIPE
	}
	return tx.room(), 0
}

// connectedErrno is 0 for a file that bytes can be sent and received on.
func (f *file) connectedErrno() Errno {
	if f.stage != connected {
		return syscall.ENOTCONN
	}
	return 0
}

// maybeReset is the fault of that name.
func (f *file) maybeReset(sending bool) {
	if !f.isConnection() || f.stage != connected || f.broken {
		return
	}
	if !f.w.net.chance(f.w.faults.Reset) {
		return
	}
	errnos := [3]Errno{syscall.ECONNRESET, syscall.ETIMEDOUT, syscall.EPIPE}
	if sending {
		f.sever(errnos[f.w.net.below(3)])
	} else {
		f.sever(errnos[f.w.net.below(2)])
	}
}
