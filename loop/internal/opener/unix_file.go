package opener

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// File is the file of a server's socket. The file at the path is the server's as
// long as it is the same file: the socket keeps the inode alive, so that no other file
// can get its number meanwhile.
type File struct {
	path string // absolute: the working directory may change
	info fs.FileInfo
}

// ListenUnix binds a socket to path, or adopts the socket in o, and listens. done may be
// called before ListenUnix returns.
func ListenUnix(ctx context.Context, host Host, path string, o ListenOptions,
	done Listened) {
	b := newBinding(ctx, host, o, done)
	switch {
	case o.Sock != nil:
		b.adopt(path, true)
	case len(o.Addrs) > 0:
		b.fail(errors.New("loop: ServerOptions.Addrs is not for Unix servers"))
	default:
		b.startUnix(path)
	}
}

// startUnix begins to bind to path.
func (b *binding) startUnix(path string) {
	name, err := UnixName(path)
	if err != nil {
		b.fail(listenError(unixAddr(path, b.kind), os.NewSyscallError("bind", err)))
		return
	}
	b.path, b.bind = name, b.bindUnix
	b.try()
}

// bindUnix binds to the path after removing a socket file that is there. It does
// not listen yet.
func (b *binding) bindUnix() error {
	if err := b.clearPath(); err != nil {
		return listenError(unixAddr(b.path, b.kind), err)
	}
	fd, err := b.host.Engine().Socket(proactor.Unix, b.kind)
	if err == nil {
		if err = b.host.Engine().Bind(fd, transport.Addr{Path: b.path}); err != nil {
			b.host.Drop(fd)
		}
	}
	if err != nil {
		return listenError(unixAddr(b.path, b.kind), err)
	}
	if err := b.permit(); err != nil {
		b.host.Drop(fd)
		_ = os.Remove(b.path) // it is ours and useless
		return listenError(unixAddr(b.path, b.kind), err)
	}
	b.add(fd, proactor.Unix)
	b.noteFile()
	return nil
}

// permit sets the permissions of the socket's file. The socket does not listen yet, so
// nobody has connected with the permissions that the umask left.
func (b *binding) permit() error {
	mode := b.opts.Mode
	if mode == 0 || !b.host.OnDisk(b.path) {
		return nil
	}
	return os.Chmod(b.path, mode)
}

// clearPath removes a socket file, and no other kind of file, at the path. If it cannot
// look at the path, bind fails for the same reason and reports it. Binding is retried
// only for abstract names and for a file with a server: a process with a ring that was
// killed serves for a moment longer. No other file goes away by itself, and one that
// appears in between belongs to a live server.
func (b *binding) clearPath() error {
	if !b.host.OnDisk(b.path) {
		return nil
	}
	info, err := os.Lstat(b.path)
	socket := err == nil && IsSocket(info)
	if socket && b.opts.ProbeSocket && isServed(b.path) {
		return os.NewSyscallError("bind", syscall.EADDRINUSE)
	}
	b.tries = BindTries
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

// noteFile records the file of the socket that was bound last, if it has one that the
// server has to remove.
func (b *binding) noteFile() {
	addr, ok := b.made.All[len(b.made.All)-1].Addr.(*net.UnixAddr)
	if !ok || b.opts.NoCleanupSocket || !b.host.OnDisk(addr.Name) {
		return
	}
	path, err := filepath.Abs(addr.Name)
	if err != nil {
		return
	}
	if info, err := os.Lstat(path); err == nil && IsSocket(info) {
		b.made.File = &File{path: path, info: info}
	}
}

// Remove removes the file if it is still there and still the server's. f may be nil.
func (f *File) Remove(host Host) {
	if f == nil {
		return
	}
	if info, err := os.Lstat(f.path); err != nil || !os.SameFile(info, f.info) {
		return
	}
	if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		host.Report(fdio.Exception{Message: "Unable to clean up listening UNIX socket",
			Err: err})
	}
}
