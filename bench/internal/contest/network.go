package contest

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// congestion is what TCP shall use in a namespace of our own, the best first:
// the kernel's default, or what every kernel has and allows. Others, BBR for
// one, pace what they send by timers, which on a loopback device measures the
// timers.
var congestion = []string{"cubic", "reno"}

// Isolate moves the calling thread, and the processes that it starts, to a
// network namespace of their own: a loopback device that nobody else uses, no
// packet filters, and TCP with a plain congestion control. It needs
// CAP_SYS_ADMIN. The calling goroutine must be locked to its thread for good.
func Isolate() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return os.NewSyscallError("unshare", err)
	}
	if err := bringUpLoopback(); err != nil {
		return fmt.Errorf("raise the loopback device: %w", err)
	}
	namespace = networkNamespace()
	for _, name := range congestion {
		if os.WriteFile(congestionFile, []byte(name), 0) == nil {
			break
		}
	}
	return nil
}

const congestionFile = "/proc/sys/net/ipv4/tcp_congestion_control"

// namespace is our own, by its name; empty: there is none.
var namespace string

// networkNamespace names the calling thread's.
func networkNamespace() string {
	name, _ := os.Readlink("/proc/thread-self/ns/net")
	return name
}

// Congest makes TCP use the named congestion control for sockets that are made from now
// on, the servers' and the load's alike, and returns what makes it as it was. It changes
// only a namespace of our own. The errors wrap ErrUnavailable.
func Congest(name string) (restore func(), err error) {
	before, err := os.ReadFile(congestionFile)
	if err != nil {
		return nil, fmt.Errorf("TCP %s: %w: %w", name, ErrUnavailable, err)
	}
	if strings.TrimSpace(string(before)) == name {
		return func() {}, nil
	}
	if namespace == "" || namespace != networkNamespace() {
		return nil, fmt.Errorf("TCP %s: %w without a network namespace of our own", name,
			ErrUnavailable)
	}
	if err := os.WriteFile(congestionFile, []byte(name), 0); err != nil {
		return nil, fmt.Errorf("TCP %s: %w: %w", name, ErrUnavailable, err)
	}
	return func() { os.WriteFile(congestionFile, before, 0) }, nil
}

func bringUpLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return os.NewSyscallError("ioctl", unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request))
}
