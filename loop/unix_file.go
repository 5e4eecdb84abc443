package loop

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/opener"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// A socketFile is the file of a server's socket. The file at the path is the server's as
// long as it is the same file: the socket keeps the inode alive, so that no other file
// can get its number meanwhile.
type socketFile struct {
	path string // absolute: the working directory may change
	info fs.FileInfo
}

// startUnix begins to serve at path.
func (b *binding) startUnix(path string) {
	name, err := opener.UnixName(path)
	if err != nil {
		b.fail(listenError(unixAddr(path, b.server.kind), os.NewSyscallError("bind", err)))
		return
	}
	b.path, b.bind = name, b.bindUnix
	b.try()
}

// bindUnix binds to the path after removing a socket file that is there. It does
// not listen yet.
func (b *binding) bindUnix() error {
	l := b.server.loop
	if err := b.clearPath(); err != nil {
		return listenError(unixAddr(b.path, b.server.kind), err)
	}
	fd, err := l.engine.Socket(proactor.Unix, b.server.kind)
	if err == nil {
		if err = l.engine.Bind(fd, transport.Addr{Path: b.path}); err != nil {
			l.drop(fd)
		}
	}
	if err != nil {
		return listenError(unixAddr(b.path, b.server.kind), err)
	}
	if err := b.permit(); err != nil {
		l.drop(fd)
		_ = os.Remove(b.path) // it is ours and useless
		return listenError(unixAddr(b.path, b.server.kind), err)
	}
	b.listenOn(fd, proactor.Unix)
	b.noteFile()
	return nil
}

// permit sets the permissions of the socket's file. The socket does not listen yet, so
// nobody has connected with the permissions that the umask left.
func (b *binding) permit() error {
	mode := b.server.opts.Mode
	if mode == 0 || !b.server.loop.onDisk(b.path) {
		return nil
	}
	return os.Chmod(b.path, mode)
}

// onDisk reports whether path names a file: not an abstract name, and not a simulated
// socket.
func (l *Loop) onDisk(path string) bool {
	return path != "" && !opener.IsAbstract(path) && l.kind != sim
}

// clearPath removes a socket file, and no other kind of file, at the path. If it cannot
// look at the path, bind fails for the same reason and reports it. Binding is retried
// only for abstract names and for a file with a server: a process with a ring that was
// killed serves for a moment longer. No other file goes away by itself, and one that
// appears in between belongs to a live server.
func (b *binding) clearPath() error {
	if !b.server.loop.onDisk(b.path) {
		return nil
	}
	info, err := os.Lstat(b.path)
	socket := err == nil && opener.IsSocket(info)
	if socket && b.server.opts.ProbeSocket && isServed(b.path) {
		return os.NewSyscallError("bind", syscall.EADDRINUSE)
	}
	b.tries = opener.BindTries
	switch {
	case err != nil:
		return nil
	case !socket:
		return os.NewSyscallError("bind", syscall.EADDRINUSE)
	}
	if err := os.Remove(b.path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// isServed reports whether a server serves at path, or whether that cannot be ruled out.
// The kernel answers at once, because it makes a connection to a Unix socket without the
// server's help.
func isServed(path string) bool {
	c, err := net.Dial("unix", path)
	if err == nil {
		c.Close()
	}
	return !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, fs.ErrNotExist)
}

// noteFile records the file of the socket that was bound last, if it has one that Close
// has to remove.
func (b *binding) noteFile() {
	s := b.server
	addr, ok := s.addrs[len(s.addrs)-1].(*net.UnixAddr)
	if !ok || s.opts.NoCleanupSocket || !s.loop.onDisk(addr.Name) {
		return
	}
	path, err := filepath.Abs(addr.Name)
	if err != nil {
		return
	}
	if info, err := os.Lstat(path); err == nil && opener.IsSocket(info) {
		s.file = &socketFile{path: path, info: info}
	}
}

// removeFile removes the file of the server's socket if it is still there.
func (s *Server) removeFile() {
	f := s.file
	if f == nil {
		return
	}
	s.file = nil
	if info, err := os.Lstat(f.path); err != nil || !os.SameFile(info, f.info) {
		return
	}
	if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.loop.report(Exception{Message: "Unable to clean up listening UNIX socket", Err: err})
	}
}
