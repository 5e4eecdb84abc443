package schedule_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport/transporttest"
	"golang.org/x/sys/unix"
)

// refusal is what a sandbox does to io_uring: what a child process of this test
// does to itself before it makes a loop.
type refusal struct {
	Calls  []uint32      // their numbers
	Errno  syscall.Errno // what they return; 0: they kill the process
	Engine loop.Engine   // to ask for
	Want   string        // in Why, or in the error where Engine is Uring
}

// refusalEnv carries the refusal to the child, as JSON.
const refusalEnv = "SLUICE_TEST_REFUSAL"

var (
	setupCall    = []uint32{unix.SYS_IO_URING_SETUP}
	enterCall    = []uint32{unix.SYS_IO_URING_ENTER}
	registerCall = []uint32{unix.SYS_IO_URING_REGISTER}
	allCalls     = []uint32{unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER,
		unix.SYS_IO_URING_REGISTER}
)

// Whether a sandbox forbids io_uring, and how, is found by trying. Each case runs
// in a process of its own.
func TestS452_IfIoUringIsRefusedEpollTakesOver(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	eperm, enosys, eacces := syscall.EPERM, syscall.ENOSYS, syscall.EACCES
	cases := []struct {
		name string
		env  string
		refusal
	}{
		{"setup EPERM", "", refusal{setupCall, eperm, loop.Auto, "seccomp"}},
		{"setup ENOSYS", "", refusal{setupCall, enosys, loop.Auto, "CONFIG_IO_URING"}},
		{"setup EACCES", "", refusal{setupCall, eacces, loop.Auto, "security policy"}},
		{"enter EPERM", "", refusal{enterCall, eperm, loop.Auto, "seccomp"}},
		{"enter ENOSYS", "", refusal{enterCall, enosys, loop.Auto, "epoll"}},
		{"enter EACCES", "", refusal{enterCall, eacces, loop.Auto, "epoll"}},
		{"register EPERM", "", refusal{registerCall, eperm, loop.Auto, "seccomp"}},
		{"register ENOSYS", "", refusal{registerCall, enosys, loop.Auto, "epoll"}},
		{"register EACCES", "", refusal{registerCall, eacces, loop.Auto, "epoll"}},
		{"all EPERM, io_uring asked for", "", refusal{allCalls, eperm, loop.Uring, "seccomp"}},
		{"all EPERM, asked for by the environment", "uring",
			refusal{allCalls, eperm, loop.Auto, loop.EngineEnv}},
		{"none is made with SLUICE_ENGINE=epoll", "epoll",
			refusal{allCalls, 0, loop.Auto, loop.EngineEnv}},
		{"none is made with Options.Engine", "",
			refusal{allCalls, 0, loop.Epoll, "Options.Engine"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			text, err := json.Marshal(c.refusal)
			if err != nil {
				t.Fatal(err)
			}
			child := exec.CommandContext(t.Context(), os.Args[0],
				"-test.run=^TestRefusedChild$", "-test.v", "-test.timeout=30s")
			child.Env = append(os.Environ(), refusalEnv+"="+string(text),
				loop.EngineEnv+"="+c.env)
			out, err := child.CombinedOutput()
			switch {
			case strings.Contains(string(out), "needs seccomp"):
				t.Skip("needs seccomp filters")
			case err != nil:
				t.Errorf("%v\n%s", err, out)
			case !strings.Contains(string(out), "--- PASS: TestRefusedChild"):
				t.Errorf("the child did not run the test:\n%s", out)
			}
		})
	}
}

// TestRefusedChild is the child of TestS452.
func TestRefusedChild(t *testing.T) {
	text := os.Getenv(refusalEnv)
	if text == "" {
		t.Skip("needs a parent: TestS452 runs it")
	}
	var r refusal
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread()
	if err := forbid(r.Calls, r.Errno); err != nil {
		t.Skipf("needs seccomp filters: %v", err)
	}
	fallbacks := 0
	o := loop.Options{Engine: r.Engine,
		Trace: &loop.Trace{Fallback: func(string, error) { fallbacks++ }}}
	var engine loop.Engine
	var why string
	err := o.Run(t.Context(), func(ctx context.Context, l *loop.Loop) error {
		engine, why = l.Engine(), l.Why()
		return echoOnce(ctx, l, t)
	})
	if r.Engine == loop.Uring || os.Getenv(loop.EngineEnv) == "uring" {
		if !errors.Is(err, loop.ErrNotSupported) || !errors.Is(err, r.Errno) ||
			!strings.Contains(err.Error(), r.Want) {
			t.Errorf("Run: %v", err)
		}
		return
	}
	if err != nil || engine != loop.Epoll || !strings.Contains(why, r.Want) {
		t.Errorf("Run: %v; %v, because %q", err, engine, why)
	}
	if told := fallbacks > 0; told != (r.Errno != 0) {
		t.Errorf("Trace.Fallback was called %d times", fallbacks)
	}
}

// echoOnce has a message sent and sent back.
func echoOnce(ctx context.Context, l *loop.Loop, t *testing.T) error {
	s, err := l.CreateServer(ctx, func() protocol.Protocol { return &rig.Mirror{} },
		"127.0.0.1:0", nil)
	if err != nil {
		return err
	}
	back := make(chan string, 1)
	client := transporttest.NewRecorder(t)
	client.On.Data = func(data []byte) {
		back <- string(data)
		client.Transport().Close()
	}
	tr, err := l.CreateConnection(ctx, client, s.Addrs()[0].String(), nil)
	if err != nil {
		return err
	}
	l.CallSoonThreadsafe(func() { tr.Write([]byte("echo")) })
	if got := <-back; got != "echo" {
		return fmt.Errorf("%q came back", got)
	}
	return nil
}

// forbid has the kernel refuse system calls to all threads of this process.
func forbid(calls []uint32, errno syscall.Errno) error {
	action := uint32(unix.SECCOMP_RET_KILL_PROCESS)
	if errno != 0 {
		action = unix.SECCOMP_RET_ERRNO | uint32(errno)
	}
	const numberAt = 0 // in struct seccomp_data
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: numberAt}}
	for _, call := range calls {
		filter = append(filter,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jf: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action})
	}
	filter = append(filter,
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, failed := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if failed != 0 {
		return failed
	}
	return nil
}
