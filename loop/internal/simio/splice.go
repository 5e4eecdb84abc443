package simio

import (
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// OpenSplicePipe implements proactor.Kernel. The size is random, as that of any buffer here.
func (e *calls) OpenSplicePipe(int) (proactor.SplicePipe, error) {
	e.call()
	defer e.mu.Unlock()
	r, w := e.newPipe()
	if errno := e.install(r); errno != 0 {
		return proactor.SplicePipe{R: noFD, W: noFD}, sysError("pipe2", errno)
	}
	if errno := e.install(w); errno != 0 {
		r.close()
		return proactor.SplicePipe{R: noFD, W: noFD}, sysError("pipe2", errno)
	}
	r.record("splice pipe", int64(w.fd))
	return proactor.SplicePipe{R: r.fd, W: w.fd, Size: w.tx.inMax}, nil
}

// TrySpliceIn implements proactor.Kernel.
func (e *calls) TrySpliceIn(fd int, p proactor.SplicePipe, n int) (int, error) {
	e.call()
	defer e.mu.Unlock()
	f := e.need(fd, "TrySpliceIn")
	if f == nil {
		return 0, sysError("splice", syscall.EBADF)
	}
	w := e.must(p.W, "TrySpliceIn to it")
	e.check(n > 0 && len(w.tx.in) == 0, "TrySpliceIn of nothing, or into a pipe with bytes")
	f.checkNoReceive("TrySpliceIn")
	moved, errno := f.trySpliceIn(w, n)
	f.record("splice in", int64(moved)-int64(errno))
	e.settle()
	if errno != 0 {
		return 0, sysError("splice", errno)
	}
	return moved, nil
}

func (f *file) trySpliceIn(pipe *file, n int) (int, Errno) {
	if f.stage != connected || f.kind != streamSocket {
		return 0, syscall.ENOTCONN
	}
	if avail, _, ok := f.peek(); ok && avail > 0 {
		f.maybeReset(false)
	}
	avail, errno, ok := f.received()
	switch {
	case !ok:
		return 0, syscall.EAGAIN
	case errno != 0 || avail == 0:
		return 0, errno
	}
	n = f.w.part(min(n, avail, pipe.tx.room()), f.w.faults.PartialRead)
	return pipe.tx.put(f.rx.take(n)), 0
}

// TrySpliceOut implements proactor.Kernel.
func (e *calls) TrySpliceOut(p proactor.SplicePipe, fd, n int) (int, error) {
	e.call()
	defer e.mu.Unlock()
	f := e.need(fd, "TrySpliceOut")
	if f == nil {
		return 0, sysError("splice", syscall.EBADF)
	}
	r := e.must(p.R, "TrySpliceOut of it")
	e.check(n > 0 && n == len(r.rx.in), "TrySpliceOut of another number than there is")
	f.checkNoSend("TrySpliceOut")
	moved, errno := f.trySpliceOut(r, n)
	f.record("splice out", int64(moved)-int64(errno))
	e.settle()
	if errno != 0 {
		return 0, sysError("splice", errno)
	}
	return moved, nil
}

func (f *file) trySpliceOut(pipe *file, n int) (int, Errno) {
	if f.stage != connected || f.kind != streamSocket {
		return 0, syscall.ENOTCONN
	}
	f.maybeReset(true)
	room, errno := f.writable()
	n = min(n, room)
	if errno != 0 || n == 0 {
		return 0, errno
	}
	if f.w.net.chance(f.w.faults.PartialWrite) {
		n = f.w.net.below(n + 1)
	}
	if n == 0 {
		return 0, 0
	}
	return f.tx.put(pipe.rx.take(n)), 0
}
