package sys

import (
	"os"
	"strconv"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"golang.org/x/sys/unix"
)

// AdoptPipe duplicates f's descriptor, close-on-exec, for one direction, makes it
// non-blocking and closes f, unless f is a standard stream: some other file would soon
// get a free number below three.
//
// The mode belongs to the open file. A terminal or an inherited standard stream shares
// its open file with other processes, which would then get EAGAIN. So a terminal and an
// unnamed pipe are opened a second time, and the new open file is ours alone. Anything
// that cannot be opened again is made non-blocking for everybody who shares it, and
// Restore is set. The mode of a socket does not matter: every call has MSG_DONTWAIT.
func (k *Kernel) AdoptPipe(f *os.File, write bool) (proactor.Pipe, error) {
	fd, err := k.adopt(f)
	if !isStandard(f) {
		f.Close()
	}
	if err != nil {
		return proactor.Pipe{FD: -1}, err
	}
	p := proactor.Pipe{FD: fd}
	if err := k.preparePipe(&p, write); err != nil {
		unix.Close(p.FD)
		return proactor.Pipe{FD: -1}, err
	}
	return p, nil
}

// isStandard reports whether f is the standard input, output or error output.
func isStandard(f *os.File) (is bool) {
	raw, err := f.SyscallConn()
	if err != nil {
		return false
	}
	err = raw.Control(func(fd uintptr) { is = fd <= 2 })
	return is && err == nil
}

// SetBlocking makes fd blocking again, for all who share its open file.
func (k *Kernel) SetBlocking(fd int) error {
	return os.NewSyscallError("fcntl", unix.SetNonblock(fd, false))
}

// kcmpFile is KCMP_FILE of kcmp(2).
const kcmpFile = 0

// SameFile uses kcmp(2) (Linux 3.5). If that is not available, it compares the inodes,
// which two open files may have in common.
func (k *Kernel) SameFile(a, b int) bool {
	pid := uintptr(os.Getpid())
	order, _, e := unix.Syscall6(unix.SYS_KCMP, pid, pid, kcmpFile, uintptr(a), uintptr(b), 0)
	if e == 0 {
		return order == 0
	}
	var x, y unix.Stat_t
	return unix.Fstat(a, &x) == nil && unix.Fstat(b, &y) == nil &&
		x.Dev == y.Dev && x.Ino == y.Ino
}

// preparePipe checks what p is and makes it non-blocking.
func (k *Kernel) preparePipe(p *proactor.Pipe, write bool) error {
	var stat unix.Stat_t
	if err := unix.Fstat(p.FD, &stat); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	flags, err := unix.FcntlInt(uintptr(p.FD), unix.F_GETFL, 0)
	if err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	unfit := unix.O_WRONLY
	if write {
		unfit = unix.O_RDONLY
	}
	if flags&unix.O_ACCMODE == unfit {
		return os.NewSyscallError("fcntl", syscall.EBADF)
	}
	switch stat.Mode & unix.S_IFMT {
	case unix.S_IFSOCK:
		return nil
	case unix.S_IFIFO:
	case unix.S_IFCHR:
		p.Device = true
	default:
		return proactor.ErrNotPipe
	}
	if flags&unix.O_NONBLOCK != 0 {
		return nil
	}
	if reopenable(p.FD, p.Device, flags) && reopen(p, &stat, write) {
		return nil
	}
	p.Restore = true
	return os.NewSyscallError("fcntl", unix.SetNonblock(p.FD, true))
}

// reopenable reports whether opening fd's file again means the same thing: an
// unnamed pipe, or a terminal that is not the master of a pair: opening a master makes
// a new pair. A FIFO with a name would no longer report its end if the writers have
// already gone (fifo_open in fs/pipe.c); other devices may have a state for each open
// file; and a pipe in packet mode would lose that mode.
func reopenable(fd int, device bool, flags int) bool {
	if !device {
		var fs unix.Statfs_t
		return flags&unix.O_DIRECT == 0 && unix.Fstatfs(fd, &fs) == nil &&
			fs.Type == unix.PIPEFS_MAGIC
	}
	if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err != nil {
		return false
	}
	_, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	return err != nil
}

// reopen replaces p's descriptor with one that has an open file of its own. It fails if
// /proc is missing or this process may not open the file.
func reopen(p *proactor.Pipe, stat *unix.Stat_t, write bool) bool {
	flags := unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC | unix.O_RDONLY
	if write {
		flags |= unix.O_WRONLY
	}
	fd, err := unix.Open("/proc/self/fd/"+strconv.Itoa(p.FD), flags, 0)
	if err != nil {
		return false
	}
	var again unix.Stat_t
	if err := unix.Fstat(fd, &again); err != nil || again.Ino != stat.Ino ||
		again.Dev != stat.Dev || again.Rdev != stat.Rdev {
		unix.Close(fd)
		return false
	}
	unix.Close(p.FD)
	p.FD = fd
	return true
}
