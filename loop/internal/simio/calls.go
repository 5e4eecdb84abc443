package simio

import (
	"io"
	"os"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// calls are the calls that the kernel answers at once: proactor.Kernel and
// proactor.Spawner. An engine has them, and a machine with a ring.
type calls struct {
	*World
	memory allocator
	count  uint64
}

// call begins a call: it takes the lock.
func (e *calls) call() {
	e.mu.Lock()
	e.count++
}

// Socket implements proactor.Kernel.
func (e *calls) Socket(family proactor.Family, k proactor.Kind) (int, error) {
	e.call()
	defer e.mu.Unlock()
	if family == proactor.Other || k == proactor.NotSocket {
		return -1, sysError("socket", syscall.EAFNOSUPPORT)
	}
	f := e.newFile(streamSocket, family)
	switch {
	case k == proactor.Datagram:
		f.kind = datagramSocket
	case k == proactor.SeqPacket && family != proactor.Unix:
		return -1, sysError("socket", syscall.ESOCKTNOSUPPORT)
	case k == proactor.SeqPacket:
		f.kind = packetSocket
	}
	errno := syscall.EMFILE
	if !e.net.chance(e.faults.NoSocket) {
		errno = e.install(f)
	}
	f.record("socket", -int64(errno))
	if errno != 0 {
		return -1, sysError("socket", errno)
	}
	return f.fd, nil
}

// Bind implements proactor.Kernel.
func (e *calls) Bind(fd int, addr transport.Addr) error {
	e.call()
	defer e.mu.Unlock()
	f := e.need(fd, "Bind")
	if f == nil {
		return sysError("bind", syscall.EBADF)
	}
	errno := syscall.EADDRINUSE
	if !e.net.chance(e.faults.BindBusy) {
		errno = e.bindFile(f, addr)
	}
	return f.called("bind", errno)
}

// called records a call and returns its error.
func (f *file) called(call string, errno Errno) error {
	f.record(call, -int64(errno))
	f.w.settle()
	if errno != 0 {
		return sysError(call, errno)
	}
	return nil
}

// Listen implements proactor.Kernel.
func (e *calls) Listen(fd, backlog int) error {
	e.call()
	defer e.mu.Unlock()
	f := e.need(fd, "Listen")
	if f == nil {
		return sysError("listen", syscall.EBADF)
	}
	return f.called("listen", e.listen(f, backlog))
}

func (w *World) listen(f *file, backlog int) Errno {
	switch {
	case !f.isConnection():
		return syscall.EOPNOTSUPP
	case f.stage != fresh && f.stage != listening:
		return syscall.EINVAL
	case f.local.IsZero() && f.family == proactor.Unix:
		return syscall.EINVAL
	}
	for _, other := range w.bound {
		if other != f && other.stage == listening && f.conflicts(other, f.local) {
			return syscall.EADDRINUSE // both bound, with ReuseAddr
		}
	}
	if f.local.IsZero() {
		if errno := w.autobind(f, anyOf(f.family)); errno != 0 {
			return errno
		}
	}
	f.stage, f.backlog = listening, backlog
	return 0
}

// Adopt implements proactor.Kernel. Three sorts of files can be adopted: what
// World.File made, for the descriptor it stands for; a regular file, for a
// simulated one with its content; no other, that is ENOTSUP.
func (e *calls) Adopt(f *os.File) (int, error) {
	e.call()
	defer e.mu.Unlock()
	defer f.Close()
	if fd, ok := e.redeem(f); ok {
		return fd, nil
	}
	info, err := f.Stat()
	if err != nil {
		return -1, sysError("fcntl", syscall.EBADF)
	}
	if !info.Mode().IsRegular() {
		return -1, sysError("fcntl", syscall.ENOTSUP)
	}
	content, err := io.ReadAll(io.NewSectionReader(f, 0, info.Size()))
	if err != nil {
		return -1, sysError("read", syscall.EIO)
	}
	file := e.newRegular(content)
	if errno := e.install(file); errno != 0 {
		return -1, sysError("fcntl", errno)
	}
	file.record("adopt", int64(len(content)), content)
	return file.fd, nil
}

// redeem returns the descriptor that f stands for, where it stands for one.
func (w *World) redeem(f *os.File) (fd int, ok bool) {
	fd, ok = w.tokens[f]
	if ok {
		delete(w.tokens, f)
		w.must(fd, "Adopt").record("adopt", 0)
	}
	return fd, ok
}

// File returns a file that stands for fd, which Adopt takes for it: the way
// into the public calls that want an *os.File. fd is the file's from then on.
func (w *World) File(fd int) (*os.File, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.tokenFor(fd)
}

func (w *World) tokenFor(fd int) (*os.File, error) {
	w.must(fd, "File")
	token, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	w.tokens[token] = fd
	return token, nil
}

// Describe implements proactor.Kernel.
func (e *calls) Describe(fd int) (proactor.Family, proactor.Kind, error) {
	e.call()
	defer e.mu.Unlock()
	switch f := e.need(fd, "Describe"); {
	case f == nil:
		return proactor.Other, proactor.NotSocket, sysError("fstat", syscall.EBADF)
	case f.kind == streamSocket:
		return f.family, proactor.Stream, nil
	case f.kind == packetSocket:
		return f.family, proactor.SeqPacket, nil
	case f.kind == datagramSocket:
		return f.family, proactor.Datagram, nil
	default:
		return proactor.Other, proactor.NotSocket, nil
	}
}

// LocalAddr implements proactor.Kernel.
func (e *calls) LocalAddr(fd int) (transport.Addr, error) {
	e.call()
	defer e.mu.Unlock()
	f := e.need(fd, "LocalAddr")
	if f == nil {
		return transport.Addr{}, sysError("getsockname", syscall.EBADF)
	}
	if f.kind > datagramSocket {
		return transport.Addr{}, sysError("getsockname", syscall.ENOTSOCK)
	}
	if f.local.IsZero() && f.family != proactor.Unix {
		return anyOf(f.family), nil
	}
	return f.local, nil
}

// RemoteAddr implements proactor.Kernel.
func (e *calls) RemoteAddr(fd int) (transport.Addr, error) {
	e.call()
	defer e.mu.Unlock()
	f := e.need(fd, "RemoteAddr")
	if f == nil {
		return transport.Addr{}, sysError("getpeername", syscall.EBADF)
	}
	switch {
	case f.kind > datagramSocket:
		return transport.Addr{}, sysError("getpeername", syscall.ENOTSOCK)
	case f.stage != connected || (f.broken && f.family != proactor.Unix):
		return transport.Addr{}, sysError("getpeername", syscall.ENOTCONN)
	}
	return f.remote, nil
}

// simCredentials is who everybody in the simulation is: the first process of the
// superuser, whoever runs it.
var simCredentials = transport.Credentials{PID: 1}

// PeerCred implements proactor.Kernel.
func (e *calls) PeerCred(fd int) (transport.Credentials, error) {
	e.call()
	defer e.mu.Unlock()
	f := e.need(fd, "PeerCred")
	if f == nil {
		return transport.Credentials{}, sysError("getsockopt", syscall.EBADF)
	}
	if f.kind > datagramSocket {
		return transport.Credentials{}, sysError("getsockopt", syscall.ENOTSOCK)
	}
	return simCredentials, nil
}

// Cookie implements proactor.Kernel.
func (e *calls) Cookie(fd int) (uint64, error) {
	e.call()
	defer e.mu.Unlock()
	f := e.need(fd, "Cookie")
	if f == nil {
		return 0, sysError("getsockopt", syscall.EBADF)
	}
	return f.cookie, nil
}

// ShutdownWrite implements proactor.Kernel.
func (e *calls) ShutdownWrite(fd int) error {
	e.call()
	defer e.mu.Unlock()
	f := e.need(fd, "ShutdownWrite")
	if f == nil {
		return sysError("shutdown", syscall.EBADF)
	}
	f.checkNoSend("ShutdownWrite")
	switch {
	case f.kind > datagramSocket:
		return f.called("shutdown", syscall.ENOTSOCK)
	case f.stage != connected || (f.broken && f.family != proactor.Unix):
		return f.called("shutdown", syscall.ENOTCONN)
	case f.tx != nil && !f.tx.ending:
		f.tx.shut()
	}
	return f.called("shutdown", 0)
}

// StopListening implements proactor.Kernel: Accept ends with EINVAL, and who was
// not accepted is reset.
func (e *calls) StopListening(fd int) error {
	e.call()
	defer e.mu.Unlock()
	f := e.need(fd, "StopListening")
	if f == nil {
		return sysError("shutdown", syscall.EBADF)
	}
	if f.stage != listening {
		return f.called("shutdown", syscall.ENOTCONN)
	}
	f.stage = fresh
	f.dropQueue()
	f.touch()
	return f.called("shutdown", 0)
}

// Discard implements proactor.Kernel.
func (e *calls) Discard(fd int) { _ = e.CloseFD(fd) }

// DiscardFile implements proactor.Kernel.
func (e *calls) DiscardFile(f *os.File) { _ = f.Close() }

// CloseFD implements proactor.Kernel.
func (e *calls) CloseFD(fd int) error {
	e.call()
	defer e.mu.Unlock()
	f := e.need(fd, "CloseFD")
	if f == nil {
		return sysError("close", syscall.EBADF)
	}
	f.checkIdle("CloseFD")
	f.record("close", 0)
	switch {
	case f.transit:
		f.surrender()
		return nil
	case len(f.flights) > 0:
		f.leave()
	default:
		f.close()
	}
	e.settle()
	return nil
}
