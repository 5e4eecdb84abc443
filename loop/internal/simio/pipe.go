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

// AdoptPipe implements proactor.Kernel for files that World.File made. Others are
// ErrNotPipe where the kernel would say so too, and ENOTSUP.
func (e *calls) AdoptPipe(f *os.File, write bool) (proactor.Pipe, error) {
	e.call()
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
func (e *calls) SameFile(a, b int) bool { return a == b }

// SetBlocking implements proactor.Kernel. Nothing here shares a mode.
func (e *calls) SetBlocking(fd int) error {
	e.call()
	defer e.mu.Unlock()
	f := e.need(fd, "SetBlocking")
	if f == nil {
		return sysError("fcntl", syscall.EBADF)
	}
	return f.called("blocking", 0)
}
