package sys

import (
	"os"
	"strconv"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"golang.org/x/sys/unix"
)

// AdoptPipe duplicates f's descriptor, close-on-exec, for one direction, makes it
// non-blocking and closes f, unless that is a standard stream: a number below
// three that is free would soon be some other file's.
//
// The mode belongs to the open file, which a terminal or an inherited standard
// stream shares with other processes, and they would meet EAGAIN. So a terminal
// and an unnamed pipe are opened once more, and the new open file is ours alone.
// What cannot be is made non-blocking for all who share it, and Restore says so.
// A socket needs no mode: every call says MSG_DONTWAIT.
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

// SameFile asks kcmp(2) (Linux 3.5). Where that is not to be had it compares the
// inodes, which may be the same for two open files.
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
// unnamed pipe, or a terminal that is not the master of a pair, which would be a
// new pair. A FIFO with a name would not tell its end any more where the writers
// have gone already (fifo_open in fs/pipe.c), and other devices may keep a state
// for each open file. A pipe in packet mode would lose it.
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

// reopen replaces p's descriptor by one with an open file of its own. It fails
// where /proc is missing or the file's permissions have changed hands.
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
