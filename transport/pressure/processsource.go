package pressure

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// processSource takes snapshots without any privilege, by asking each socket. It
// borrows the sockets of another process one at a time with pidfd_getfd, Linux 5.6,
// which requires what ptrace requires: the same user, and no policy against it.
type processSource struct {
	pid   int
	pidfd int // -1: this process
}

func newProcessSource(pid int) (*processSource, error) {
	s := &processSource{pid: pid, pidfd: -1}
	if pid == os.Getpid() {
		return s, nil
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, os.NewSyscallError("pidfd_open", err)
	}
	s.pidfd = fd
	if _, err := s.snapshot(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *processSource) snapshot() (*Snapshot, error) {
	out := &Snapshot{Time: monotonic(), PID: s.pid, Level: LevelProcess}
	entries, err := os.ReadDir(s.path("fd"))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || !alive(s.pid) {
			return nil, os.ErrProcessDone
		}
		return nil, err
	}
	fds := make([]int, 0, len(entries))
	for _, entry := range entries {
		if fd, err := strconv.Atoi(entry.Name()); err == nil {
			fds = append(fds, fd)
		}
	}
	slices.Sort(fds)
	for _, fd := range fds {
		if err := s.look(out, fd); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *processSource) close() error {
	if s.pidfd < 0 {
		return nil
	}
	return unix.Close(s.pidfd)
}

func (s *processSource) path(name string) string {
	return filepath.Join("/proc", strconv.Itoa(s.pid), name)
}

// look adds the state of a descriptor. One that was closed meanwhile is left out.
func (s *processSource) look(out *Snapshot, fd int) error {
	target, err := os.Readlink(filepath.Join(s.path("fd"), strconv.Itoa(fd)))
	if err != nil {
		return nil
	}
	switch {
	case target == "anon_inode:[io_uring]":
		text, err := os.ReadFile(filepath.Join(s.path("fdinfo"), strconv.Itoa(fd)))
		if err == nil {
			out.Rings = append(out.Rings, parseRing(fd, string(text)))
		}
		return nil
	case strings.HasPrefix(target, "socket:"), strings.HasPrefix(target, "pipe:"):
		return s.ask(out, fd, target)
	}
	return nil
}

// ask queries the descriptor itself, or a copy of it.
func (s *processSource) ask(out *Snapshot, fd int, target string) error {
	use := fd
	if s.pidfd >= 0 {
		borrowed, err := unix.PidfdGetfd(s.pidfd, fd, 0)
		if errors.Is(err, unix.EPERM) {
			return &UnsupportedError{Need: "CAP_BPF and CAP_PERFMON, or to run as the user of " +
				"the process with leave to ptrace it (sysctl kernel.yama.ptrace_scope=0)",
				Err: err}
		}
		if err != nil {
			return nil // closed meanwhile
		}
		defer unix.Close(borrowed)
		use = borrowed
	}
	if inode, ok := strings.CutPrefix(target, "pipe:["); ok {
		askPipe(out, fd, use, strings.TrimSuffix(inode, "]"))
		return nil
	}
	askSocket(out, fd, use)
	return nil
}

func askPipe(out *Snapshot, fd, use int, inode string) {
	number, _ := strconv.ParseUint(inode, 10, 64)
	size, err := unix.FcntlInt(uintptr(use), unix.F_GETPIPE_SZ, 0)
	if err != nil {
		return
	}
	used, _ := unix.IoctlGetInt(use, unix.SIOCINQ)
	flags, _ := unix.FcntlInt(uintptr(use), unix.F_GETFL, 0)
	page := os.Getpagesize()
	out.Pipes = append(out.Pipes, Pipe{
		FD: fd, Inode: number, Writer: flags&unix.O_ACCMODE != unix.O_RDONLY,
		Used: (used + page - 1) / page, Size: size / page,
	})
}

// parseRing reads the fdinfo of a ring (io_uring_show_fdinfo).
func parseRing(fd int, text string) Ring {
	values := map[string]uint32{}
	ring := Ring{FD: fd}
	overflow := false
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if overflow && strings.HasPrefix(line, " ") {
			ring.Overflowing = true
		}
		overflow = name == "CqOverflowList" || overflow && strings.HasPrefix(line, " ")
		if n, err := strconv.ParseUint(strings.TrimSpace(value), 0, 32); err == nil {
			values[name] = uint32(n)
		}
	}
	ring.SQPending = int(values["SqTail"] - values["SqHead"])
	ring.CQReady = int(values["CqTail"] - values["CqHead"])
	ring.SQEntries = int(values["SqMask"]) + 1
	ring.CQEntries = int(values["CqMask"]) + 1
	return ring
}

var _ source = (*processSource)(nil)
