//go:build linux

package uring

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain fails when tests leave descriptors or goroutines behind.
func TestMain(m *testing.M) {
	flag.Parse()
	if !ProbeOnce().Has(FeatureSetup, FeatureRecvMultishot) {
		// An example cannot say that it cannot run.
		if err := flag.Set("test.skip", "^Example"); err != nil {
			panic(err)
		}
	}
	before := openDescriptors()
	code := m.Run()
	if code == 0 {
		if left := leftBehind(before); len(left) > 0 {
			fmt.Fprintf(os.Stderr, "left behind:\n%s\n", strings.Join(left, "\n"))
			code = 1
		}
	}
	os.Exit(code)
}

// leftBehind allows goroutines that are ending half a minute to end.
func leftBehind(before []string) []string {
	for end := time.Now().Add(30 * time.Second); ; runtime.Gosched() {
		left := slices.DeleteFunc(openDescriptors(), func(fd string) bool {
			// The runtime opens its poller, an epoll and an eventfd, when first used.
			return slices.Contains(before, fd) || strings.Contains(fd, "anon_inode:[event")
		})
		left = append(left, strayGoroutines()...)
		if len(left) == 0 || time.Now().After(end) {
			return left
		}
	}
}

func openDescriptors() []string {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			out = append(out, e.Name()+" "+target)
		}
	}
	return out
}

func strayGoroutines() []string {
	buf := make([]byte, 1<<18)
	var out []string
	for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if !strings.Contains(stack, "uring.TestMain(") && !strings.Contains(stack, "signal_recv") {
			out = append(out, stack)
		}
	}
	return out
}

// newRing returns a ring for the test's goroutine, which it locks to its thread.
func newRing(t testing.TB, entries uint32, opts *Options) *Ring {
	t.Helper()
	needs(t, FeatureSetup)
	runtime.LockOSThread()
	r, err := New(entries, opts)
	if errors.Is(err, syscall.ENOMEM) {
		runtime.UnlockOSThread()
		t.Skip("needs memory:", err)
	}
	if err != nil {
		runtime.UnlockOSThread()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error("Close:", err)
		}
		runtime.UnlockOSThread()
	})
	return r
}

// wait removes the next completion and returns a copy of it.
func wait(t testing.TB, r *Ring) CQE {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		if c := r.Peek(); c != nil {
			got := *c
			r.Advance(1)
			return got
		}
		if _, err := r.SubmitAndWait(1, 30*time.Second); err != nil && err != ErrTimeout {
			t.Fatal(err)
		}
	}
	t.Fatal("no completion in 30 s")
	return CQE{}
}

// waitRes waits for the completion of user, which must have the result want.
func waitRes(t testing.TB, r *Ring, user uint64, want int32) CQE {
	t.Helper()
	c := wait(t, r)
	if c.UserData != user || c.Res != want {
		t.Fatalf("completion %+v (%v), want user data %d and result %d",
			c, c.Errno(), user, want)
	}
	return c
}

// quiet fails if a completion is there.
func quiet(t testing.TB, r *Ring) {
	t.Helper()
	if _, err := r.EnterNB(); err != nil {
		t.Fatal(err)
	}
	if c := r.Peek(); c != nil {
		t.Fatalf("unexpected completion %+v (%v)", *c, c.Errno())
	}
}

// sqe returns the next free entry, which must exist.
func sqe(t testing.TB, r *Ring) *SQE {
	t.Helper()
	s := r.SQE()
	if s == nil {
		t.Fatal("submission queue is full")
	}
	return s
}

// pair returns two connected sockets.
func pair(t testing.TB, typ int) (a, b int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, typ|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	return fds[0], fds[1]
}

// pipe returns the two ends of a pipe.
func pipe(t testing.TB) (r, w int) {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	return fds[0], fds[1]
}

// listener returns a TCP listener on loopback and its address.
func listener(t testing.TB) (int, *unix.SockaddrInet4) {
	t.Helper()
	fd, name := openListener(t)
	t.Cleanup(func() { unix.Close(fd) })
	return fd, name
}

// openListener returns a listener that the caller closes.
func openListener(t testing.TB) (int, *unix.SockaddrInet4) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 64); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fd, name.(*unix.SockaddrInet4)
}

// dial connects to a listener of this machine.
func dial(t testing.TB, to unix.Sockaddr) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Connect(fd, to); err != nil {
		t.Fatal(err)
	}
	return fd
}

// tcpPair returns two connected TCP sockets.
func tcpPair(t testing.TB) (a, b int) {
	t.Helper()
	fd, name := listener(t)
	b = dial(t, name)
	a, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(a) })
	return a, b
}

// write writes all of s at once.
func write(t testing.TB, fd int, s string) {
	t.Helper()
	if n, err := unix.Write(fd, []byte(s)); err != nil || n != len(s) {
		t.Fatalf("write: %d, %v", n, err)
	}
}

// read reads what is there at once.
func read(t testing.TB, fd int) string {
	t.Helper()
	buf := make([]byte, 1<<16)
	n, err := unix.Read(fd, buf)
	if err != nil {
		t.Fatal("read:", err)
	}
	return string(buf[:n])
}

// needs skips the test if the kernel is older than the feature, or a sandbox
// refuses it. If the feature is missing for another reason, the test must fail.
func needs(t testing.TB, feature string) {
	t.Helper()
	f := ProbeOnce().Lookup(feature)
	if refused(f) || !f.Supported && !kernelAtLeast(t, f.MinKernel) {
		t.Skip("needs", f)
	}
}

// refused reports whether a sandbox or a limit withholds the feature.
func refused(f Feature) bool {
	return errors.Is(f.Err, syscall.EPERM) || errors.Is(f.Err, syscall.EACCES) ||
		errors.Is(f.Err, syscall.ENOSYS) || errors.Is(f.Err, syscall.ENOMEM)
}

func kernelAtLeast(t testing.TB, version string) bool {
	t.Helper()
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	var major, minor, wantMajor, wantMinor int
	release := unix.ByteSliceToString(u.Release[:])
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		t.Fatalf("kernel release %q: %v", release, err)
	}
	if _, err := fmt.Sscanf(version, "%d.%d", &wantMajor, &wantMinor); err != nil {
		t.Fatalf("minimum kernel %q: %v", version, err)
	}
	return major > wantMajor || major == wantMajor && minor >= wantMinor
}
