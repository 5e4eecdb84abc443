package simio

import (
	"os"
	"syscall"
)

// passage is descriptors on their way, which arrive with the byte at that position
// of a local lane.
type passage struct {
	at    int64
	files []*file
}

// Duplicate implements proactor.Kernel for what World.File made: the descriptor
// that it stands for is the caller's from then on. Others are ENOTSUP.
func (e *calls) Duplicate(f *os.File) (int, error) {
	e.call()
	defer e.mu.Unlock()
	fd, ok := e.tokens[f]
	if !ok {
		return -1, sysError("fcntl", syscall.ENOTSUP)
	}
	delete(e.tokens, f)
	e.must(fd, "Duplicate").record("duplicate", 0)
	return fd, nil
}

// TrySendFDs implements proactor.Kernel.
func (e *calls) TrySendFDs(fd int, data []byte, fds []int) (int, error) {
	e.call()
	defer e.mu.Unlock()
	f := e.need(fd, "TrySendFDs")
	if f == nil {
		return 0, sysError("sendmsg", syscall.EBADF)
	}
	e.check(len(data) > 0, "TrySendFDs without a byte")
	e.check(f.tx != nil && f.tx.local, "TrySendFDs on what is no Unix stream")
	f.checkNoSend("TrySendFDs")
	p := passage{at: f.tx.accepted}
	for _, n := range fds {
		p.files = append(p.files, e.must(n, "TrySendFDs of it"))
	}
	n, errno := f.trySend([][]byte{data})
	f.record("sendfds", int64(n)-int64(errno), data[:n])
	if errno != 0 {
		return 0, sysError("sendmsg", errno)
	}
	if n > 0 {
		for _, passed := range p.files {
			passed.transit = true
		}
		f.tx.passages = append(f.tx.passages, p)
	}
	e.settle()
	return n, nil
}

// TryRecvFDs implements proactor.Kernel. It ends before the second passage.
func (e *calls) TryRecvFDs(fd int, buf []byte) (int, []*os.File, bool, error) {
	e.call()
	defer e.mu.Unlock()
	f := e.need(fd, "TryRecvFDs")
	if f == nil {
		return 0, nil, false, sysError("recvmsg", syscall.EBADF)
	}
	f.checkNoReceive("TryRecvFDs")
	avail, errno, ok := f.received()
	switch {
	case !ok:
		return 0, nil, false, sysError("recvmsg", syscall.EAGAIN)
	case errno != 0:
		return 0, nil, false, sysError("recvmsg", errno)
	case avail == 0:
		return 0, nil, false, nil
	}
	n := e.part(min(avail, len(buf)), e.faults.PartialRead)
	if len(f.rx.passages) > 1 {
		n = min(n, int(f.rx.passages[1].at-f.rx.taken()))
	}
	var passed []*file
	if ps := f.rx.passages; len(ps) > 0 && ps[0].at < f.rx.taken()+int64(n) {
		passed, f.rx.passages = ps[0].files, ps[1:]
	}
	copy(buf, f.rx.take(n))
	f.record("recvfds", int64(n), buf[:n])
	files, lost := e.unpack(passed)
	e.settle()
	return n, files, lost, nil
}

// unpack gives descriptors to files that arrived, as far as there are any.
func (w *World) unpack(passed []*file) (files []*os.File, lost bool) {
	for _, p := range passed {
		p.transit = false
		if lost || w.install(p) != 0 {
			lost = true
			p.close()
			continue
		}
		token, err := os.Open(os.DevNull)
		if err != nil {
			lost = true
			p.close()
			continue
		}
		w.tokens[token] = p.fd
		files = append(files, token)
	}
	return files, lost
}

// taken is how many bytes were ever read of the lane.
func (l *lane) taken() int64 { return l.arrived - int64(len(l.in)) }

// dropPassages closes what was sent and nobody received: all of it, or what came
// with bytes that were read without looking for it.
func (l *lane) dropPassages(all bool) {
	for len(l.passages) > 0 && (all || l.passages[0].at < l.taken()) {
		files := l.passages[0].files
		l.passages = l.passages[1:]
		for _, f := range files {
			f.transit = false
			f.close()
		}
	}
}

// checkNoReceive panics when a receive is in flight on f.
func (f *file) checkNoReceive(what string) {
	for _, op := range f.flights {
		if op.takesFrom(f) {
			f.blame("%s on fd %d with %s in flight", what, f.fd, op.title())
		}
	}
}
