package iouring

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

const memlockChild = "SLUICE_TEST_MEMLOCK_CHILD"

// A process without privilege and with 512 KiB of RLIMIT_MEMLOCK can have a ring
// but not the first megabyte of registered memory.
func TestMemlockTooSmallForRegisteredMemoryFallsBackToPlainReceive(t *testing.T) {
	if os.Getenv(memlockChild) != "" {
		receiveWithoutRegistration(t)
		return
	}
	if os.Getuid() != 0 {
		t.Skip("needs root, to become somebody else")
	}
	open(t, proactor.Config{}).Close() // skips without io_uring
	cmd := exec.Command(copyForEverybody(t), "-test.run", "^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), memlockChild+"=1")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
}

// copyForEverybody copies this binary to where another user may run it.
func copyForEverybody(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sluice")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	in, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	name := filepath.Join(dir, "test")
	out, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}

func receiveWithoutRegistration(t *testing.T) {
	const rlimitMemlock = 8
	limit := syscall.Rlimit{Cur: 512 << 10, Max: 512 << 10}
	if err := syscall.Setrlimit(rlimitMemlock, &limit); err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread()
	var feature string
	var why error
	p := open(t, proactor.Config{Fallback: func(f string, err error) { feature, why = f, err }})
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fds[0])
	defer syscall.Close(fds[1])
	done := &counter{}
	op := &proactor.Op{Code: proactor.Recv, FD: fds[0], Buf: p.Alloc(64 << 10), Handler: done}
	if _, err := syscall.Write(fds[1], []byte("plain")); err != nil {
		t.Fatal(err)
	}
	p.Submit(op)
	for done.n == 0 {
		if err := p.Wait(time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if op.Res != 5 || string(op.Buf[:5]) != "plain" {
		t.Errorf("received %d: %q", op.Res, op.Buf[:5])
	}
	if feature != "registered buffers" || !strings.Contains(why.Error(), "RLIMIT_MEMLOCK") {
		t.Errorf("fallback of %q: %v", feature, why)
	}
	p.Free(op.Buf)
}
