package simio

import (
	"os"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// Pipe returns the two ends of a pipe.
func (w *World) Pipe() (reader, writer int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r, wr := w.newPipe()
	return w.mustInstall(r), w.mustInstall(wr)
}

func (w *World) newPipe() (reader, writer *file) {
	reader = w.newFile(pipeEnd, proactor.Other)
	writer = w.newFile(pipeEnd, proactor.Other)
	reader.stage, writer.stage = connected, connected
	l := w.newLane(writer, reader, true)
	reader.rx, writer.tx = l, l
	return reader, writer
}

// Pair returns two connected Unix stream sockets, as socketpair(2).
func (w *World) Pair() (a, b int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	x, y := w.newPair()
	return w.mustInstall(x), w.mustInstall(y)
}

func (w *World) newPair() (a, b *file) {
	a = w.newFile(streamSocket, proactor.Unix)
	b = w.newFile(streamSocket, proactor.Unix)
	a.stage, b.stage = connected, connected
	w.join(a, b, true)
	return a, b
}

// NewFile returns the descriptor of a file with the given content.
func (w *World) NewFile(content []byte) (fd int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mustInstall(w.newRegular(content))
}

func (w *World) newRegular(content []byte) *file {
	f := w.newFile(regularFile, proactor.Other)
	f.stage, f.content = connected, content
	return f
}

// trySplice is Splice: some bytes, from a file or a stream.
func (fl *flight) trySplice() {
	from, to, w := fl.source, fl.file, fl.e.World
	if from.kind != pipeEnd && to.kind != pipeEnd || to.kind == regularFile {
		fl.fail(syscall.EINVAL)
		return
	}
	if to.connectedErrno() != 0 || from.connectedErrno() != 0 {
		fl.fail(syscall.ENOTCONN)
		return
	}
	room, errno := to.writable()
	if errno != 0 {
		fl.fail(errno)
		return
	}
	avail, errno, ok := from.spliceable(fl)
	switch {
	case !ok:
	case errno != 0:
		fl.fail(errno)
	case avail == 0 || fl.op.Len <= 0:
		fl.finish(0)
	case room > 0:
		n := w.part(min(avail, room, fl.op.Len), w.faults.PartialWrite)
		to.tx.put(from.spliceOut(fl, n))
		fl.finish(int32(n))
	}
}

// spliceable is received, for regular files too.
func (f *file) spliceable(fl *flight) (avail int, errno Errno, ok bool) {
	if f.kind == regularFile {
		return int(max(0, int64(len(f.content))-f.position(fl))), 0, true
	}
	if fl.op.Offset != -1 {
		return 0, syscall.ESPIPE, true
	}
	return f.received()
}

// position is where fl reads in the regular file f.
func (f *file) position(fl *flight) int64 {
	if fl.op.Offset != -1 {
		return fl.op.Offset
	}
	return f.offset
}

// spliceOut takes n bytes.
func (f *file) spliceOut(fl *flight, n int) []byte {
	if f.kind != regularFile {
		return f.rx.take(n)
	}
	at := f.position(fl)
	if fl.op.Offset == -1 {
		f.offset += int64(n)
	}
	return f.content[at : at+int64(n)]
}

// AdoptPipe implements proactor.Kernel for files that World.File made. Others are
// ErrNotPipe where the kernel would say so too, and ENOTSUP.
func (e *Engine) AdoptPipe(f *os.File, write bool) (proactor.Pipe, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	defer f.Close()
	none := proactor.Pipe{FD: -1}
	if fd, ok := e.redeem(f); ok {
		file := e.must(fd, "AdoptPipe")
		lane := file.rx
		if write {
			lane = file.tx
		}
		if (file.kind == pipeEnd || file.kind == streamSocket) && lane != nil {
			return proactor.Pipe{FD: fd}, nil
		}
		file.record("close", 0)
		file.close()
		if file.kind == pipeEnd {
			return none, sysError("fcntl", syscall.EBADF)
		}
		return none, proactor.ErrNotPipe
	}
	info, err := f.Stat()
	switch {
	case err != nil:
		return none, sysError("fcntl", syscall.EBADF)
	case info.Mode().IsRegular() || info.IsDir():
		return none, proactor.ErrNotPipe
	}
	return none, sysError("fcntl", syscall.ENOTSUP)
}

// SameFile implements proactor.Kernel. A file has one descriptor here.
func (e *Engine) SameFile(a, b int) bool { return a == b }

// SetBlocking implements proactor.Kernel. Nothing here shares a mode.
func (e *Engine) SetBlocking(fd int) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	f := e.need(fd, "SetBlocking")
	if f == nil {
		return sysError("fcntl", syscall.EBADF)
	}
	return f.called("blocking", 0)
}
