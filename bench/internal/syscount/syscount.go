// Package syscount counts the system calls of another process exactly and at
// little cost, by the kernel's tracepoint raw_syscalls:sys_enter. It needs root
// or CAP_PERFMON.
package syscount

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// tracepoint is where the number of the tracepoint is, below the root of
// tracefs.
const tracepoint = "events/raw_syscalls/sys_enter/id"

// A Counter counts the system calls of the threads of one process. Close it:
// as long as one is open, every system call on the machine takes longer.
type Counter struct{ fds []int }

// Open starts to count the system calls of process pid: those of the threads
// that it has now, and of the threads that these make.
func Open(pid int) (*Counter, error) {
	id, err := tracepointID()
	if err != nil {
		return nil, fmt.Errorf("count system calls: %w", err)
	}
	c := &Counter{}
	if err := c.attach(pid, id); err != nil {
		c.Close()
		return nil, fmt.Errorf("count system calls of process %d: %w", pid, err)
	}
	return c, nil
}

// attach covers threads until a look at all of them shows no new one.
func (c *Counter) attach(pid int, id uint64) error {
	covered := map[int]bool{}
	for added := true; added; {
		added = false
		threads, err := threadsOf(pid)
		if err != nil {
			return err
		}
		for _, tid := range threads {
			if covered[tid] {
				continue
			}
			fd, err := open(tid, id)
			if errors.Is(err, unix.ESRCH) { // it has ended meanwhile
				continue
			}
			if err != nil {
				return err
			}
			c.fds = append(c.fds, fd)
			covered[tid], added = true, true
		}
	}
	return nil
}

func open(tid int, id uint64) (int, error) {
	attr := unix.PerfEventAttr{
		Type:   unix.PERF_TYPE_TRACEPOINT,
		Size:   unix.PERF_ATTR_SIZE_VER5,
		Config: id,
		Bits:   unix.PerfBitInherit,
	}
	fd, err := unix.PerfEventOpen(&attr, tid, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
	return fd, os.NewSyscallError("perf_event_open", err)
}

func threadsOf(pid int) ([]int, error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil, err
	}
	var out []int
	for _, e := range entries {
		if tid, err := strconv.Atoi(e.Name()); err == nil {
			out = append(out, tid)
		}
	}
	return out, nil
}

// Count returns how many system calls were begun since Open.
func (c *Counter) Count() (int64, error) {
	sum, buf := int64(0), make([]byte, 8)
	for _, fd := range c.fds {
		if _, err := unix.Read(fd, buf); err != nil {
			return 0, os.NewSyscallError("read", err)
		}
		sum += int64(binary.NativeEndian.Uint64(buf))
	}
	return sum, nil
}

// Close ends the counting.
func (c *Counter) Close() {
	for _, fd := range c.fds {
		unix.Close(fd)
	}
	c.fds = nil
}

// tracepointID reads the tracepoint's number from tracefs, from where it is
// mounted or from an instance that is mounted nowhere and gone afterwards.
func tracepointID() (uint64, error) {
	for _, root := range []string{"/sys/kernel/tracing/", "/sys/kernel/debug/tracing/"} {
		if text, err := os.ReadFile(root + tracepoint); err == nil {
			return parseID(text)
		}
	}
	root, err := mountTracefs()
	if err != nil {
		return 0, err
	}
	defer unix.Close(root)
	fd, err := unix.Openat(root, tracepoint, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, os.NewSyscallError("openat", err)
	}
	defer unix.Close(fd)
	buf := make([]byte, 32)
	n, err := unix.Read(fd, buf)
	if err != nil {
		return 0, os.NewSyscallError("read", err)
	}
	return parseID(buf[:n])
}

// mountTracefs returns a descriptor of the root of tracefs, attached to no
// directory: fsopen(2), since Linux 5.2.
func mountTracefs() (int, error) {
	fs, err := unix.Fsopen("tracefs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, os.NewSyscallError("fsopen", err)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, os.NewSyscallError("fsconfig", err)
	}
	root, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	return root, os.NewSyscallError("fsmount", err)
}

func parseID(text []byte) (uint64, error) {
	return strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
}
